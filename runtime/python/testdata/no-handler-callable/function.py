handler = 5
