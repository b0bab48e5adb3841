"""Tools that write files of the project; the service needs none of them."""
