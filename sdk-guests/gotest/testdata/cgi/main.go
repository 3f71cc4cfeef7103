// Cgi answers by net/http/cgi, without an SDK.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
)

func main() {
	err := cgi.Serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		rw.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(rw, "%s %s %q %s %v", r.Method, r.URL.RawQuery, r.Header.Get("X-A"), body, err)
	}))
	if err != nil {
		panic(err)
	}
}
