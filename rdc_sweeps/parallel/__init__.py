"""Several processes that train one network on shares of each batch, with the result of one process."""
