// Everything uses what the examples do not, for the test of the SDK: the path says what.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	alephguest "github.com/aleph-edge/aleph-edge/sdk-guests/go"
	"github.com/aleph-edge/aleph-edge/sdk-guests/go/store"
)

var refused error

func main() {
	if os.Getenv("FAIL") != "" {
		panic(os.Getenv("FAIL"))
	}
	if os.Getenv("RETURN") != "" {
		return
	}
	refused = store.Set(context.Background(), "main", store.Bytes("too early"), 0)
	http.HandleFunc("/request/{rest...}", request)
	http.HandleFunc("/store", kept)
	http.HandleFunc("/proxy", proxy)
	http.HandleFunc("/redirect", redirect)
	http.HandleFunc("/errors", failures)
	http.HandleFunc("/time", passes)
	http.HandleFunc("/body", func(rw http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(rw, r.Body); err != nil {
			panic(err)
		}
	})
	http.HandleFunc("/large", func(rw http.ResponseWriter, r *http.Request) {
		for range 300 {
			_, _ = io.WriteString(rw, strings.Repeat("0123456789", 100))
		}
	})
	http.HandleFunc("/sniff", func(rw http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(rw, "<!DOCTYPE html>") })
	http.HandleFunc("/empty", func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(http.StatusNoContent) })
	http.HandleFunc("/short", func(rw http.ResponseWriter, r *http.Request) { rw.Header().Set("Content-Length", "5") })
	http.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) {
		log.Print("about to panic")
		panic("no luck")
	})
	http.HandleFunc("/abort", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, "some")
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	})
	http.HandleFunc("/log", func(http.ResponseWriter, *http.Request) {
		slog.With("a", 1).WithGroup("g").Warn("a warning", "b", "x y")
		log.Print("printed")
		fmt.Fprintln(os.Stderr, "standard error")
	})
	alephguest.Serve(nil)
}

func request(rw http.ResponseWriter, r *http.Request) {
	e := alephguest.EventOf(r.Context())
	deadline, bounded := r.Context().Deadline()
	_, hijacks := rw.(http.Hijacker)
	whole := e.ID != "" && e.RequestID != "" && len(e.Program) == 64 && e.Attempt == 1 && bounded && deadline.Equal(e.Deadline) && time.Until(deadline) > 0 &&
		!hijacks && r.Host != "" && r.RemoteAddr != "" && strings.HasSuffix(r.RequestURI, "/request/a%2Fb%20c?q=x+y&q=z")
	fmt.Fprintf(rw, "%s %s %s %q %q %v %q %d %v %v %s", r.Method, r.URL.Path, r.URL.EscapedPath(), r.PathValue("rest"), r.URL.Query()["q"], whole,
		r.Header.Values("X-A"), r.ContentLength, e.Kind, errors.Is(refused, alephguest.NotNow), os.Getenv("V"))
}

func kept(rw http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	say := func(values ...any) { fmt.Fprintln(rw, values...) }
	v, err := store.Get(ctx, "k")
	say(v.Kind == store.Absent, err)
	say(store.Set(ctx, "k", store.Bytes("a\x00b"), 0))
	v, err = store.Get(ctx, "k")
	say(v.Kind == store.KindBytes, len(v.Data), err)
	say(store.SetJSON(ctx, "j", map[string]int{"a": 1}, 90*time.Minute))
	j, found, err := store.GetJSON[map[string]int](ctx, "j")
	say(j, found, err)
	old, _ := store.Get(ctx, "j")
	say(store.CompareAndSet(ctx, "j", store.Value{Kind: store.Absent}, store.Counter(1), 0))
	say(store.CompareAndSet(ctx, "j", old, store.Counter(1), 0))
	say(store.Increment(ctx, "j", -43))
	_, err = store.Increment(ctx, "k", 1)
	say(errors.Is(err, alephguest.NotACounter))
	say(store.Update(ctx, "u", 0, func(list []string) ([]string, error) { return append(list, "one"), nil }))
	say(store.Update(ctx, "u", 0, func(list []string) ([]string, error) { return append(list, "two"), nil }))
	for i := range 120 {
		if err := store.Set(ctx, fmt.Sprintf("many/%03d", i), store.Bytes("v"), 0); err != nil {
			say(err)
		}
	}
	n, last := 0, ""
	for entry, err := range store.List(ctx, "many/") {
		if err != nil || entry.Key <= last {
			say(entry.Key, err)
		}
		n, last = n+1, entry.Key
	}
	say(n)
	watcher := store.Watch("w/")
	defer watcher.Close()
	go func() {
		time.Sleep(time.Millisecond)
		_ = store.Set(ctx, "w/1", store.Bytes("new"), 0)
	}()
	change, err := watcher.Next(ctx)
	say(change.Key, string(change.Data), err)
	say(store.Delete(ctx, "w/1"))
	change, err = watcher.Next(ctx)
	say(change.Key, change.Kind == store.Absent, err)
	soon, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	_, err = watcher.Next(soon)
	say(err)
}

// proxy sends the body on, as it comes, and answers with what comes back.
func proxy(rw http.ResponseWriter, r *http.Request) {
	out, err := http.NewRequestWithContext(r.Context(), http.MethodPost, r.URL.Query().Get("url"), r.Body)
	if err != nil {
		panic(err)
	}
	out.Header.Set("X-From", "go")
	resp, err := http.DefaultClient.Do(out)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	rw.Header().Set("X-Back", resp.Header.Get("X-Back"))
	rw.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(rw, resp.Body); err != nil {
		panic(err)
	}
}

func redirect(rw http.ResponseWriter, r *http.Request) {
	resp, err := http.Post(r.URL.Query().Get("url"), "text/plain", strings.NewReader("posted"))
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Fprint(rw, resp.Request.Method, " ", resp.Request.URL.Path, " ", resp.StatusCode, " ", string(body), " ", err)
}

func failures(rw http.ResponseWriter, r *http.Request) {
	slow := r.URL.Query().Get("slow")
	get := func(ctx context.Context, url string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	fmt.Fprintln(rw, errors.Is(get(r.Context(), "http://10.0.0.1/"), alephguest.Forbidden))
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Millisecond)
	defer cancel()
	fmt.Fprintln(rw, errors.Is(get(ctx, slow), context.DeadlineExceeded))
	ctx, cancel = context.WithTimeout(r.Context(), 50*time.Millisecond)
	defer cancel()
	fmt.Fprintln(rw, errors.Is(get(ctx, slow+"?head"), context.DeadlineExceeded))
	ctx, cancel = context.WithCancel(r.Context())
	time.AfterFunc(5*time.Millisecond, cancel)
	fmt.Fprintln(rw, errors.Is(get(ctx, slow), context.Canceled))
	client := http.Client{Timeout: 5 * time.Millisecond}
	_, err := client.Get(slow)
	fmt.Fprintln(rw, err != nil && os.IsTimeout(err))
}

// passes has timers and operations run beside each other.
func passes(rw http.ResponseWriter, r *http.Request) {
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			time.Sleep(time.Duration(i%5) * time.Millisecond)
			if _, err := store.Increment(r.Context(), "time", 1); err != nil {
				panic(err)
			}
		})
	}
	wg.Wait()
	begin := time.Now()
	select {
	case <-time.After(20 * time.Millisecond):
	case <-r.Context().Done():
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	n, err := store.Increment(r.Context(), "time", 0)
	fmt.Fprint(rw, n, err, time.Since(begin) >= 30*time.Millisecond, alephguest.EventOf(r.Context()).Rand().Uint64() != 0)
}
