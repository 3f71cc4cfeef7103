package network

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
)

// server is a node behind a real HTTP server and client.
type server struct {
	*world
	client *http.Client
}

// newServer serves a world.
func newServer(t *testing.T, options HandlerOptions, stream bool) *server {
	t.Helper()
	w := newWorld(t, NodeOptions{})
	handler := NewHandler(w.node, options)
	listener := fasthttputil.NewInmemoryListener()
	fast := &fasthttp.Server{
		MaxRequestBodySize: 64 << 20, StreamRequestBody: stream, NoDefaultServerHeader: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			path := string(ctx.Path())
			switch {
			case path == "/api/v0/messages":
				handler.PostMessage(ctx)
			case strings.HasPrefix(path, "/api/v0/messages/"):
				handler.GetMessage(ctx, strings.TrimPrefix(path, "/api/v0/messages/"))
			case path == "/api/v0/storage/add_file":
				handler.AddFile(ctx)
			case path == "/api/v0/storage/add_json":
				handler.AddJSON(ctx)
			case path == "/api/v0/messages.json":
				handler.ListMessages(ctx)
			case path == "/api/v0/posts.json":
				handler.ListPosts(ctx)
			case strings.HasPrefix(path, "/api/v0/aggregates/"):
				handler.GetAggregates(ctx, strings.TrimSuffix(strings.TrimPrefix(path, "/api/v0/aggregates/"), ".json"))
			case strings.HasPrefix(path, "/api/v0/storage/raw/"):
				handler.Raw(ctx, strings.TrimPrefix(path, "/api/v0/storage/raw/"))
			default:
				ctx.NotFound()
			}
		},
	}
	served := make(chan error)
	go func() { served <- fast.Serve(listener) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return listener.Dial() }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := fast.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &server{w, &http.Client{Transport: transport}}
}

// send makes a request and wants a status. The answer's body must be JSON.
func (s *server) send(method, path, contentType string, body []byte, want int) map[string]any {
	s.t.Helper()
	response, text := s.sendRaw(method, path, contentType, body)
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil || response.StatusCode != want {
		s.t.Fatalf("%s %s: %d %s; want %d and JSON", method, path, response.StatusCode, text, want)
	}
	if got := response.Header.Get("Content-Type"); got != "application/json" {
		s.t.Errorf("content type %s", got)
	}
	return answer
}

func (s *server) sendRaw(method, path, contentType string, body []byte) (*http.Response, []byte) {
	s.t.Helper()
	request, err := http.NewRequest(method, "http://node"+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response, text
}

func (s *server) post(message *Message, want int) map[string]any {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"sync": true, "message": message})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.send("POST", "/api/v0/messages", "application/json", body, want)
}

// wantFields compares an answer's fields, as JSON, with those of want.
func (s *server) wantFields(answer map[string]any, want map[string]any) {
	s.t.Helper()
	for field, value := range want {
		got, _ := json.Marshal(answer[field])
		wanted, _ := json.Marshal(value)
		if !bytes.Equal(got, wanted) {
			s.t.Errorf("%s is %s, want %s", field, got, wanted)
		}
	}
}

// wantError wants the code of an error answer.
func (s *server) wantError(answer map[string]any, code string) {
	s.t.Helper()
	failure, _ := answer["error"].(map[string]any)
	if failure["code"] != code || failure["message"] == "" {
		s.t.Errorf("%v, want the error %s", answer, code)
	}
}

// recordedPart is a part of a multipart body as the captures have it.
type recordedPart struct {
	Headers string          `json:"headers"`
	Name    string          `json:"name"`
	Data    json.RawMessage `json:"data"`
	Base64  string          `json:"data_base64"`
}

// recordedBody is the body of a capture as it was on the wire.
func recordedBody(t testing.TB, c capture) (contentType string, body []byte) {
	if !strings.Contains(c.url, "add_file") {
		return "application/json", c.body
	}
	var parts []recordedPart
	if err := json.Unmarshal(c.body, &parts); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	var form bytes.Buffer
	for _, part := range parts {
		content, err := base64.StdEncoding.DecodeString(part.Base64)
		if err != nil {
			t.Fatal(err)
		}
		if part.Data != nil {
			content = part.Data
		}
		fmt.Fprintf(&form, "--xx\r\n%s\r\n\r\n%s\r\n", part.Headers, content)
	}
	form.WriteString("--xx--\r\n")
	return "multipart/form-data; boundary=xx", form.Bytes()
}

// TestReplayCaptures sends what the published client sends, in its order, to a node.
func TestReplayCaptures(t *testing.T) {
	s := newServer(t, HandlerOptions{}, false)
	unsupported := map[string]bool{"014-store_ipfs.json": true, "017-program_default_ipfs_.json": true}
	binaryBuffer := map[string]bool{"009-store_storage_binBuffer.json": true, "021-program_storage_buffer_binary.json": true}
	for _, c := range readCaptures(t) {
		contentType, body := recordedBody(t, c)
		var answer map[string]any
		switch {
		case unsupported[c.name]: // files on IPFS
			answer = s.send("POST", c.url, contentType, body, 422)
			s.wantFields(answer, map[string]any{"message_status": "rejected", "error_code": 0})
		case binaryBuffer[c.name]:
			answer = s.send("POST", c.url, contentType, body, 422)
			s.wantError(answer, CodeFileMismatch)
			if !strings.Contains(fmt.Sprint(answer), "Blob") {
				t.Errorf("%v does not say what to do", answer)
			}
		case strings.Contains(c.url, "add_file"):
			answer = s.send("POST", c.url, contentType, body, 200)
			var store Store
			if err := json.Unmarshal([]byte(c.messages[0].ItemContent), &store); err != nil {
				t.Fatal(err)
			}
			s.wantFields(answer, map[string]any{"status": "success", "hash": store.ItemHash})
		case c.name == "007-post_large_to_storage.json": // the content was not recorded in this set
			answer = s.send("POST", c.url, contentType, body, 202)
			s.wantFields(answer, map[string]any{"message_status": "pending"})
			s.sendLargeContent(c.messages[0].ItemHash)
		case c.name == "018-program_default_ipfs_.json": // its code is on IPFS
			s.send("POST", c.url, contentType, body, 202)
		case strings.HasSuffix(c.url, "/api/v0/messages"):
			answer = s.send("POST", c.url, contentType, body, 200)
			s.wantFields(answer, map[string]any{"message_status": "processed",
				"publication_status": map[string]any{"status": "success", "failed": []string{}}})
		default:
			s.replayGet(c)
		}
	}
	// The last capture but one forgets the program.
	answer := s.send("GET", "/api/v0/messages/5e9d0c1fbd146000ed4f580d51fdbb2166675e8443ce5559174c36443f9aab69", "", nil, 200)
	s.wantFields(answer, map[string]any{"status": "forgotten",
		"forgotten_by": []string{"ec9f86a5404cc2708d4c2f708d044ef7d919a539150d4e9d90e35ba9efe52ae1"}})
}

// sendLargeContent sends the content of capture 007 as the client did: the hash is that of the bytes as sent.
func (s *server) sendLargeContent(hash string) {
	s.t.Helper()
	content := `{"type":"demo","address":"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A","content":{"body":"` + strings.Repeat("x", 60_000) + `"},"time":1795338470.034}`
	answer := s.send("POST", "/api/v0/storage/add_json", "application/json", []byte(content), 200)
	s.wantFields(answer, map[string]any{"status": "success", "hash": hash})
	s.eventually("the large post is processed", s.hasStatus(hash, StatusProcessed))
}

// replayGet sends a recorded GET and compares the answer with the recorded one.
func (s *server) replayGet(c capture) {
	s.t.Helper()
	var recorded struct {
		Response struct{ Body map[string]any }
	}
	readJSON(s.t, "testdata/captures/"+c.name, &recorded)
	path, _, _ := strings.Cut(c.url, "?")
	answer := s.send("GET", path, "", nil, 200)
	want := recorded.Response.Body
	delete(want, "reception_time")
	s.wantFields(answer, want)
	if _, err := time.Parse("2006-01-02T15:04:05Z07:00", fmt.Sprint(answer["reception_time"])); err != nil {
		s.t.Error(err)
	}
}

func TestPostStatuses(t *testing.T) {
	for _, stream := range []bool{false, true} {
		s := newServer(t, HandlerOptions{MaxMessage: 4096}, stream)
		store := s.code("one", "")
		pending := s.program(s.storeOf(HashContent("later"), "").ItemHash, "", nil)
		s.wantFields(s.post(store, 200), map[string]any{"message_status": "processed"})
		s.wantFields(s.post(store, 200), map[string]any{"message_status": "processed"})
		s.wantFields(s.post(pending, 202), map[string]any{"message_status": "pending"})

		rejected := s.program(store.ItemHash, strings.Repeat("0", 64), nil)
		answer := s.post(rejected, 422)
		s.wantFields(answer, map[string]any{"message_status": "rejected", "error_code": 300})
		details, _ := answer["details"].(map[string]any)
		if details["code"] != CodeRefNotFound || details["field"] != "content.replaces" || details["message"] == "" {
			t.Errorf("%v", answer)
		}
		answer = s.send("GET", "/api/v0/messages/"+rejected.ItemHash, "", nil, 200)
		s.wantFields(answer, map[string]any{"status": "rejected", "error_code": 300, "details": details})

		forged := *store
		forged.Sender = "0x" + strings.Repeat("1", 40)
		s.wantFields(s.post(&forged, 422), map[string]any{"message_status": "rejected", "error_code": 1})

		for name, body := range map[string]string{
			"not JSON": "{", "no message": "{}", "null": "null", "an array": "[]", "a string": `{"message":"x"}`, "a field": `{"message":{"time":"now"}}`,
		} {
			answer := s.send("POST", "/api/v0/messages", "application/json", []byte(body), 422)
			if answer["error"] == nil {
				t.Errorf("%s: %v", name, answer)
			}
		}
		s.wantError(s.send("POST", "/api/v0/messages", "application/json", bytes.Repeat([]byte(" "), 4097), 413), CodeBodyTooLarge)
		s.wantError(s.send("GET", "/api/v0/messages/"+strings.Repeat("0", 64), "", nil, 404), CodeNotFound)
		s.wantError(s.send("GET", "/api/v0/messages/nonsense", "", nil, 404), CodeNotFound)
	}
}

// TestNodeFails answers 500 without the reason, which is for the node's log.
func TestNodeFails(t *testing.T) {
	s := newServer(t, HandlerOptions{}, false)
	store := s.code("one", "")
	s.accept(store, StatusProcessed)
	if err := s.node.blobs.remove(HashContent("one")); err != nil { // as a broken disk would
		t.Fatal(err)
	}
	answer := s.post(s.program(store.ItemHash, "", nil), 500)
	s.wantError(answer, CodeInternal)
	if strings.Contains(fmt.Sprint(answer), s.folder) {
		t.Errorf("%v shows a path", answer)
	}
}

// form is a multipart body as browsers and the Python client make it.
func form(t *testing.T, metadata string, file []byte) (contentType string, body []byte) {
	var buffer bytes.Buffer
	writer := multipart.NewWriter(&buffer)
	part, err := writer.CreatePart(map[string][]string{
		"Content-Disposition": {`form-data; name="metadata"`}, "Content-Type": {"application/json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(part, metadata)
	part, err = writer.CreateFormFile("file", "main.zip")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(file)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return writer.FormDataContentType(), buffer.Bytes()
}

func metadataOf(t *testing.T, message *Message) string {
	text, err := json.Marshal(map[string]any{"message": message, "sync": true})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAddFile(t *testing.T) {
	for _, stream := range []bool{false, true} {
		s := newServer(t, HandlerOptions{MaxFile: 100_000}, stream)
		file := bytes.Repeat([]byte{0, '\r', '\n', 0xff}, 1000)
		hash := HashContent(string(file))
		store := s.storeOf(hash, "")
		add := func(message *Message, file []byte, want int) map[string]any {
			t.Helper()
			contentType, body := form(t, metadataOf(t, message), file)
			return s.send("POST", "/api/v0/storage/add_file", contentType, body, want)
		}
		for range 2 {
			s.wantFields(add(store, file, 200), map[string]any{"status": "success", "hash": hash, "name": "main.zip", "size": 4000})
		}
		s.wantStatus(store.ItemHash, StatusProcessed)
		s.wantFields(s.post(store, 200), map[string]any{"message_status": "processed"}) // as the Python client does

		response, content := s.sendRaw("GET", "/api/v0/storage/raw/"+hash, "", nil)
		if response.StatusCode != 200 || !bytes.Equal(content, file) || response.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%d, %d bytes, %v", response.StatusCode, len(content), response.Header)
		}
		response, content = s.sendRaw("HEAD", "/api/v0/storage/raw/"+hash, "", nil)
		if response.StatusCode != 200 || len(content) != 0 || response.ContentLength != 4000 {
			t.Errorf("%d, %d bytes, length %d", response.StatusCode, len(content), response.ContentLength)
		}
		for _, missing := range []string{strings.Repeat("0", 64), "x"} {
			s.wantError(s.send("GET", "/api/v0/storage/raw/"+missing, "", nil, 404), CodeNotFound)
		}

		s.wantError(add(s.storeOf(hash, ""), file[1:], 422), CodeFileMismatch)
		s.wantError(add(s.program(store.ItemHash, "", nil), file, 422), CodeInvalidFormat)
		s.wantError(add(s.storeOf(HashContent(""), strings.Repeat("0", 64)), nil, 422), CodeRefNotFound)
		s.wantError(add(store, make([]byte, 100_000), 413), CodeBodyTooLarge)

		// What is not signed by its sender leaves no file behind.
		forged := *s.storeOf(HashContent("forged"), "")
		forged.Sender = "0x" + strings.Repeat("1", 40)
		s.wantError(add(&forged, []byte("forged"), 422), CodeInvalidSignature)
		if _, there := s.node.Blobs().Has(HashContent("forged")); there {
			t.Error("a forged upload is kept")
		}
	}
}

func TestAddJSON(t *testing.T) {
	s := newServer(t, HandlerOptions{}, false)
	const content = "{ \"a\": \"\\u00e9\" }\n" // is not encoded again
	s.wantFields(s.send("POST", "/api/v0/storage/add_json", "application/json", []byte(content), 200),
		map[string]any{"status": "success", "hash": HashContent(content)})
	s.wantError(s.send("POST", "/api/v0/storage/add_json", "application/json", []byte("{"), 422), CodeInvalidFormat)
	s.wantError(s.send("POST", "/api/v0/storage/add_json", "application/json", bytes.Repeat([]byte(" "), MaxContent+1), 413), CodeBodyTooLarge)
}

func TestParseUploadRejections(t *testing.T) {
	vector, _ := readVector(t)
	part := func(name, content string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + content + "\r\n"
	}
	const end = "--b--\r\n"
	const multipartForm = "multipart/form-data; boundary=b"
	program := metadataOf(t, vectorMessage(vector))
	for name, test := range map[string]struct{ contentType, body, code, field string }{
		"content type":     {"application/json", "{}", CodeInvalidFormat, ""},
		"no boundary":      {"multipart/form-data", "", CodeInvalidFormat, ""},
		"empty":            {multipartForm, "", CodeInvalidFormat, "metadata"},
		"cut":              {multipartForm, part("metadata", "{}")[:30], CodeInvalidFormat, "metadata"},
		"no end":           {multipartForm, part("metadata", "{}"), CodeInvalidFormat, ""},
		"no metadata":      {multipartForm, part("file", "x") + end, CodeInvalidFormat, "metadata"},
		"no file":          {multipartForm, part("metadata", "{}") + end, CodeInvalidFormat, "file"},
		"metadata twice":   {multipartForm, part("metadata", "{}") + part("metadata", "{}") + end, CodeInvalidFormat, "metadata"},
		"empty file twice": {multipartForm, part("file", "") + part("file", "") + end, CodeInvalidFormat, "file"},
		"many parts":       {multipartForm, strings.Repeat(part("x", ""), 9) + end, CodeInvalidFormat, ""},
		"metadata no JSON": {multipartForm, part("metadata", "x") + part("file", "x") + end, CodeInvalidFormat, "metadata"},
		"no message":       {multipartForm, part("metadata", "{}") + part("file", "x") + end, CodeInvalidFormat, "metadata"},
		"a PROGRAM":        {multipartForm, part("metadata", program) + part("file", "x") + end, CodeInvalidFormat, "metadata.message"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseUpload(test.contentType, []byte(test.body))
			wantRejection(t, err, test.code, test.field)
		})
	}
}

func FuzzParseUpload(f *testing.F) {
	for _, c := range readCaptures(f) {
		if strings.Contains(c.url, "add_file") {
			contentType, body := recordedBody(f, c)
			f.Add(contentType, body)
		}
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		u, err := parseUpload(contentType, body)
		if err != nil {
			wantText(t, err)
			return
		}
		if u.message == nil || HashContent(string(u.file)) != u.store.ItemHash || len(u.file) > len(body) {
			t.Fatalf("%+v", u)
		}
	})
}
