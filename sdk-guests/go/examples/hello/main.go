// Hello greets: GET /?name=Alice answers "Hello, Alice!". The variable GREETING says how.
package main

import (
	"io"
	"net/http"
	"os"

	alephguest "github.com/aleph-edge/aleph-edge/sdk-guests/go"
)

func main() {
	greeting := os.Getenv("GREETING")
	if greeting == "" {
		greeting = "Hello"
	}
	alephguest.Serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("name")
		if name == "" {
			name = "World"
		}
		_, _ = io.WriteString(rw, greeting+", "+name+"!\n")
	}))
}
