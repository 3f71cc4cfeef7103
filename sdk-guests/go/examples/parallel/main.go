// Parallel fetches two addresses at the same time and streams a line about each as soon as it has answered:
// GET /?url=https://a.example/&url=https://b.example/
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	alephguest "github.com/aleph-edge/aleph-edge/sdk-guests/go"
)

const fetches = 2

func main() {
	http.HandleFunc("/", parallel)
	alephguest.Serve(nil)
}

func parallel(rw http.ResponseWriter, r *http.Request) {
	urls := r.URL.Query()["url"]
	if len(urls) < fetches {
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(rw, "give two parameters: url=…&url=…\n")
		return
	}
	lines := make(chan string)
	for _, url := range urls[:fetches] {
		go func() { lines <- url + ": " + fetch(r.Context(), url) + "\n" }()
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for range fetches {
		_, _ = io.WriteString(rw, <-lines)
		_ = http.NewResponseController(rw).Flush()
	}
}

// fetch says what an address answers.
func fetch(ctx context.Context, url string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := http.DefaultClient.Do(r)
	if failed := (*alephguest.Error)(nil); errors.As(err, &failed) {
		return failed.Code.Error() // as "forbidden"
	} else if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	size, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d, %d bytes", resp.StatusCode, size)
}
