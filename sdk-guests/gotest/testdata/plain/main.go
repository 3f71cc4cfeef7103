// Plain is a CGI program that knows nothing of HTTP or of nodes.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Printf("Content-Type: text/plain\n\nHello, %s!\n", os.Getenv("QUERY_STRING"))
}
