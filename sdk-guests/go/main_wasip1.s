// Has the compiler take a function that is declared here and is somewhere else: programMain.
