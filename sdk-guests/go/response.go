package alephguest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/frame"
	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/host"
)

const (
	wholeMost = 64 << 10  // bytes of body that are kept until the handler returns
	writeMost = 256 << 10 // bytes of one part of a stream
	bodyAt    = 4 + 8     // where the body begins in a response's frame
)

// A response is a handler's http.ResponseWriter. Its frame has the body first, so that what is written is where it stays.
type response struct {
	request *http.Request
	header  http.Header
	status  int    // 0: not yet decided
	head    []byte // the fields of the headers, once the status is decided
	typed   bool   // the handler says what type the body has, or there is nothing to say
	length  int64  // Content-Length as the handler gave it, or -1
	written int64
	frame   []byte // the beginning of the body's field, and what of the body is not sent

	streaming bool
	err       error // the stream's: nothing can be sent any more
}

var (
	_ http.ResponseWriter = (*response)(nil)
	_ http.Flusher        = (*response)(nil)
)

func (w *response) Header() http.Header { return w.header }

// WriteHeader decides the status and the headers.
func (w *response) WriteHeader(status int) {
	if w.status != 0 {
		slog.Warn("http: superfluous response.WriteHeader call")
		return
	}
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	if status < 200 {
		return
	}
	w.status = status
	w.typed = !w.hasBody() || w.header["Content-Encoding"] != nil
	for name, values := range w.header {
		switch name {
		case "Content-Length":
			if n, err := strconv.ParseInt(strings.Join(values, ","), 10, 64); err == nil && n >= 0 {
				w.length = n
			}
			continue
		case "Connection", "Transfer-Encoding", "Trailer":
			continue
		case "Content-Type":
			w.typed = true
		}
		if strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		for _, value := range values {
			w.head = frame.Pair(w.head, frame.Header, name, lines.Replace(value))
		}
	}
}

// lines keeps a value from ending its line.
var lines = strings.NewReplacer("\n", " ", "\r", " ")

// hasBody says whether replies of that status have a body.
func (w *response) hasBody() bool {
	return w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

func (w *response) Write(p []byte) (int, error)       { return write(w, p) }
func (w *response) WriteString(p string) (int, error) { return write(w, p) }

func write[T frame.Text](w *response, p T) (n int, err error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if len(p) == 0 {
		return 0, w.err
	}
	if !w.hasBody() {
		return 0, http.ErrBodyNotAllowed
	}
	if w.length >= 0 && w.written+int64(len(p)) > w.length {
		return 0, http.ErrContentLength
	}
	for len(p) > 0 {
		if w.err != nil {
			return n, w.err
		}
		most := wholeMost
		if w.streaming {
			most = writeMost
		}
		take := min(len(p), most-(len(w.frame)-bodyAt))
		w.frame = append(w.frame, p[:take]...)
		w.written += int64(take)
		n += take
		if p = p[take:]; len(p) > 0 || w.streaming && len(w.frame)-bodyAt >= wholeMost {
			_ = w.FlushError()
		}
	}
	return n, w.err
}

// Flush sends what was written so far. The reply is streamed from here on.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is Flush, and says why nothing can be sent. It is for http.ResponseController.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.start()
	if len(w.frame) > bodyAt {
		w.send(false)
	}
	return w.err
}

// EnableFullDuplex has nothing to do: a request's body can be read while its response is written. It is for http.ResponseController.
func (w *response) EnableFullDuplex() error { return nil }

// start begins a streamed reply.
func (w *response) start() {
	if w.streaming || w.err != nil {
		return
	}
	w.streaming = true
	w.sniff()
	request := frame.U32(frame.Begin(nil), frame.HTTPStatus, uint32(w.status))
	if w.length >= 0 {
		request = frame.Pair(request, frame.Header, "content-length", strconv.FormatInt(w.length, 10))
	}
	_, w.err = host.Call(w.request.Context(), frame.ReplyStart, append(request, w.head...))
}

// send sends what is kept of the body, with end as its last part.
func (w *response) send(end bool) {
	if w.err != nil {
		return
	}
	if w.request.Method == http.MethodHead {
		w.frame = w.frame[:bodyAt]
	}
	w.seal()
	if end {
		w.frame = frame.U32(w.frame, frame.End, 1)
	}
	_, w.err = host.Call(w.request.Context(), frame.ReplyWrite, w.frame)
	w.frame = w.frame[:bodyAt]
}

// seal writes the body's length in front of it.
func (w *response) seal() {
	binary.LittleEndian.PutUint32(w.frame[bodyAt-4:], uint32(len(w.frame)-bodyAt))
}

// sniff says what type the body has, if the handler did not.
func (w *response) sniff() {
	if !w.typed && len(w.frame) > bodyAt {
		w.head = frame.Pair(w.head, frame.Header, "content-type", http.DetectContentType(w.frame[bodyAt:]))
	}
}

var errShort = errors.New("the response is shorter than its Content-Length")

// finish ends the reply, and gives the frame of a whole one; nil if it was streamed.
func (w *response) finish() ([]byte, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.length > w.written && w.hasBody() && w.request.Method != http.MethodHead {
		return nil, errShort
	}
	if w.streaming {
		w.send(true)
		return nil, nil // with w.err the client has gone
	}
	w.sniff()
	w.seal() // the node leaves out the body of a reply to HEAD, and says its length
	return append(frame.U32(w.frame, frame.ResponseStatus, uint32(w.status)), w.head...), nil
}
