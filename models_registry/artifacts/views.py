"""What a text model may read, as its metrics name it: a network's view of the text, its n-grams, or both."""

NETWORK = "network"
NGRAMS = "n-grams"
NETWORK_AND_NGRAMS = "network and n-grams"
