"""What tells regions apart without content: the contrast of maps that know nothing of each other, against chance."""
