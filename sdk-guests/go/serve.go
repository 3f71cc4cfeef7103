//go:build !wasip1

package alephguest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"time"
)

// Serve serves events with the handler, http.DefaultServeMux if it is nil, and does not return. It belongs at the end of main. Outside of
// a node it serves HTTP on the port in the variable PORT, or 8080.
func Serve(handler http.Handler) {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	if handler == nil {
		handler = http.DefaultServeMux
	}
	logToNode()
	server := &http.Server{Addr: "127.0.0.1:" + port, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		now := time.Now()
		e := &Event{RequestID: rand.Text(), Attempt: 1, Time: now, Deadline: now.Add(time.Minute)}
		e.ID = e.RequestID
		_, _ = rand.Read(e.seed[:]) // it never fails
		ctx, cancel := context.WithDeadline(context.WithValue(r.Context(), eventKey{}, e), e.Deadline)
		defer cancel()
		handler.ServeHTTP(rw, r.WithContext(ctx))
	})}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	go func() {
		<-ctx.Done()
		stop()
		_ = server.Close()
	}()
	fmt.Fprintf(os.Stderr, "serving on http://%s\n", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
