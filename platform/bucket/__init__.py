"""The one client of the bucket: conditional writes, streams, files; on an S3 server or in a folder."""
