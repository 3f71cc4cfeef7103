// Counter counts visits in the store, a counter for each path: GET /a answers {"path":"/a","visits":1}, then 2, and so on. GET /?list
// answers all counters.
package main

import (
	"encoding/json"
	"log/slog"
	"net/http"

	alephguest "github.com/aleph-edge/aleph-edge/sdk-guests/go"
	"github.com/aleph-edge/aleph-edge/sdk-guests/go/store"
)

type counter struct {
	Path   string `json:"path"`
	Visits int64  `json:"visits"`
}

func main() {
	http.HandleFunc("/", visit)
	alephguest.Serve(nil)
}

func visit(rw http.ResponseWriter, r *http.Request) {
	var answer any
	var err error
	if r.URL.Query().Has("list") {
		answer, err = list(r)
	} else {
		one := counter{Path: r.URL.Path}
		one.Visits, err = store.Increment(r.Context(), one.Path, 1)
		answer = one
	}
	if err != nil {
		slog.Error("counting a visit", "error", err)
		http.Error(rw, "the counter is out of order", http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(answer)
}

func list(r *http.Request) ([]counter, error) {
	all := []counter{}
	for entry, err := range store.List(r.Context(), "/") {
		if err != nil {
			return nil, err
		}
		all = append(all, counter{entry.Key, entry.Number()})
	}
	return all, nil
}
