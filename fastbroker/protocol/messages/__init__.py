"""One file per API: the request and the response class, with their nested structs, nothing else.

The file is called after the API in snake_case; structs have Apache's names and stand inside the
class that uses them. `fastbroker.protocol.api` finds them by api key.
"""
