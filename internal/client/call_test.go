package client

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// TestCallTarget calls a server that says what it was asked for.
func TestCallTarget(t *testing.T) {
	asked := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.RequestURI }))
	defer server.Close()
	c, err := New(server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, test := range []struct{ path, query, want string }{
		{"", "", ""},
		{"", "a=1", "?a=1"},
		{"users/7", "", "/users/7"},
		{"/", "a=1", "/?a=1"},
		{"/a%2Fb%20c/../%2e", "", "/a%2Fb%20c/../%2e"},
		{"/a b/é\"<>\\^`{|}#", "", "/a%20b/%C3%A9%22%3C%3E%5C%5E%60%7B%7C%7D%23"},
		{"/100%", "", "/100%25"},
		{"/%zz%4", "", "/%25zz%254"},
		{"/-._~!$&'()*+,;=:@[]", "", "/-._~!$&'()*+,;=:@[]"},
		{"/a?b=%2F c", "d=1", "/a?b=%2F%20c&d=1"},
	} {
		query, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := c.Call(t.Context(), "id", Call{Path: test.path, Query: query})
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
		if got := <-asked; got != "/api/v0/run/id"+test.want {
			t.Errorf("%q, %q: asked for %s, want %s", test.path, test.query, got, test.want)
		}
	}
}
