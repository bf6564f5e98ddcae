"""What our web server and the application agree on: large bodies are asked for before they are read.

Before it takes a large body, the server shows the application the head of the request alone. An answer of
status 100 says "go on"; any other is sent to the client instead of reading the body. In front of other servers
nothing asks, and the same checks run when the request is complete.
"""

HEAD_ONLY = "trainyard.head_only"  # in the environ of a request whose body has not been read yet
CARRIED = "trainyard."  # what begins like this in that environ is in the complete request's as well
ASKED_ABOVE = 2**20  # bytes of a body
