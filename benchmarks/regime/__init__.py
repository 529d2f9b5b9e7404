"""Which settings of the contrast ask the network for what withheld labels would ask for."""
