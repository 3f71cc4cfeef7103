package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// requestSize is the length on the wire of every request of a load, in bytes.
const requestSize = 300

// fixedRequest is a GET of requestSize bytes (longer if path does not fit), and the value of the header that fills it up.
func fixedRequest(addr, path string) (bytes []byte, padding string) {
	const form = "GET %s HTTP/1.1\r\nHost: %s\r\nX-Padding: %s\r\n\r\n"
	padding = strings.Repeat("x", max(1, requestSize-len(fmt.Sprintf(form, path, addr, ""))))
	return fmt.Appendf(nil, form, path, addr, padding), padding
}

// answer is one HTTP response, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// get does one GET on a connection of its own.
func get(addr, path string) (answer, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(90 * time.Second))
	r, _ := fixedRequest(addr, path)
	if _, err := conn.Write(r); err != nil {
		return answer{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, body}, err
}

// expect is an error unless GET path answers 200 with that body.
func (p *process) expect(path, body string) (answer, error) {
	a, err := get(p.addr, path)
	if err != nil {
		return a, p.fault(err)
	}
	if a.status != 200 || string(a.body) != body {
		return a, p.fault(fmt.Errorf("GET %s answered %d %.300q, not 200 %q", path, a.status, a.body, body))
	}
	return a, nil
}
