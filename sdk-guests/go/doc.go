// Package alephguest makes a program of a net/http handler. The same main is built for a node, where each event is a request to the
// handler, and for the machine at hand, where go run serves it on a port:
//
//	func main() {
//		http.HandleFunc("GET /{$}", func(rw http.ResponseWriter, r *http.Request) {
//			fmt.Fprintf(rw, "Hello, %s!\n", r.FormValue("name"))
//		})
//		alephguest.Serve(nil)
//	}
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o hello.wasm .
//
// # What a program is
//
// main runs once, when the program is deployed, until it calls Serve. What it leaves in memory is what each instance begins with:
// parse templates there, compile expressions, read the environment. Requests to other servers and to the store are refused there.
// An instance serves one event; what is to stay goes into the store (package store).
//
// # What net/http means here
//
// A request's URL has the path behind the program's id; RequestURI has the whole. Its context ends when the handler returns, and
// has the deadline at which the node ends the event. A response of up to 64 KiB is sent when the handler returns; a longer one is
// streamed from there, and each one that is flushed. Trailers and status codes below 200 are left out, connections cannot be hijacked.
//
// http.Get, http.DefaultClient and whoever uses http.DefaultTransport send requests through the node, which decides what may be
// reached. An http.Transport of a program's own has no sockets. Nothing is decompressed unless the program does it.
//
// Goroutines, time.Sleep, timers and contexts work; there is one thread. While some goroutine waits for the node, a timer that is no
// deadline of its context may be late: by two milliseconds, or by a sixteenth of the wait.
package alephguest
