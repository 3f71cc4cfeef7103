package abi

import "fmt"

// A Response is what a guest answered. Its slices are views of the frame.
type Response struct {
	Status       int
	Body         []byte
	ErrorCode    uint32 // not 0: the guest failed, and only the two below count
	ErrorMessage []byte
	ErrorStack   []byte
	Rest         bool // the body is what is left of a reply that is streamed

	frame []byte
}

// ParseResponse reads a response frame and checks it as a whole.
func ParseResponse(frame []byte) (Response, error) {
	resp := Response{Status: 200, frame: frame}
	r := Read(frame)
	for r.Next() {
		switch r.Tag {
		case TagStatus:
			resp.Status = int(r.U32())
		case TagHeader:
			r.Pair()
		case TagBody:
			resp.Body = r.Value
		case TagErrorCode:
			if resp.ErrorCode = r.U32(); resp.ErrorCode == 0 {
				resp.ErrorCode = GuestException
			}
		case TagErrorMessage:
			resp.ErrorMessage = r.Value
		case TagErrorStack:
			resp.ErrorStack = r.Value
		}
	}
	if err := r.Err(); err != nil {
		return Response{}, err
	}
	if resp.ErrorCode == 0 && (resp.Status < 200 || resp.Status > 599) {
		return Response{}, fmt.Errorf("status %d is not within 200 to 599", resp.Status)
	}
	return resp, nil
}

// Headers walks the response's headers in order. The slices are views of the frame.
func (resp *Response) Headers(yield func(name, value []byte) bool) {
	for r := Read(resp.frame); r.Next(); {
		if r.Tag != TagHeader {
			continue
		}
		if name, value := r.Pair(); !yield(name, value) {
			return
		}
	}
}

// ParseReplyStart reads the request of the operation reply start, which begins a response whose body is streamed.
func ParseReplyStart(frame []byte) (Response, error) {
	resp := Response{Status: 200, frame: frame}
	r := Read(frame)
	for r.Next() {
		switch r.Tag {
		case TagHTTPStatus:
			resp.Status = int(r.U32())
		case TagHeader:
			r.Pair()
		}
	}
	if err := r.Err(); err != nil {
		return Response{}, err
	}
	if resp.Status < 200 || resp.Status > 599 {
		return Response{}, fmt.Errorf("status %d is not within 200 to 599", resp.Status)
	}
	return resp, nil
}
