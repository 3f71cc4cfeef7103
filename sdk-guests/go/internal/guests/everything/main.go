package main

import alephguest "github.com/aleph-edge/aleph-edge/sdk-guests/go"

func main() { alephguest.Serve(nil) }
