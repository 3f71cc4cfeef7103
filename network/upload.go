package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
)

// maxParts bounds the parts of an upload. Clients send two.
const maxParts = 8

// upload is what a client posts to add_file: a file and the STORE message that names it.
type upload struct {
	message *Message
	store   *Store
	name    string // of the file; may be empty
	file    []byte
}

// parseUpload reads a multipart form with the parts metadata, the JSON {"message":{…},"sync":…}, and file. The parts
// may come in either order and with any content type. The error is a *Rejection.
func parseUpload(contentType string, body []byte) (*upload, error) {
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || mediaType != "multipart/form-data" || parameters["boundary"] == "" {
		return nil, reject(CodeInvalidFormat, "", "the body must be multipart/form-data with the parts metadata and file")
	}
	var u upload
	var metadata []byte
	form := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for range maxParts {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return u.complete(metadata)
		}
		if err != nil {
			return nil, reject(CodeInvalidFormat, "", "the multipart body is broken: %v", err)
		}
		target := &metadata
		switch part.FormName() {
		case "metadata":
		case "file":
			target, u.name = &u.file, part.FileName()
		default:
			continue
		}
		if *target != nil {
			return nil, reject(CodeInvalidFormat, part.FormName(), "is there twice")
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, reject(CodeInvalidFormat, "", "the multipart body is broken: %v", err)
		}
		*target = content // never nil, even if empty
	}
	return nil, reject(CodeInvalidFormat, "", "the form has more than %d parts", maxParts)
}

// complete reads the metadata and checks that they belong to the file.
func (u *upload) complete(metadata []byte) (*upload, error) {
	if metadata == nil {
		return nil, reject(CodeInvalidFormat, "metadata", "the part is missing").
			hint(`send {"message":{…},"sync":true} with the STORE message of the file`)
	}
	if u.file == nil {
		return nil, reject(CodeInvalidFormat, "file", "the part is missing")
	}
	var err error
	if u.message, err = decodeEnvelope(metadata, "metadata"); err != nil {
		return nil, err
	}
	if u.message.Type != TypeStore || u.message.ItemType != ItemInline {
		return nil, reject(CodeInvalidFormat, "metadata.message", "must be an inline STORE message")
	}
	u.store = new(Store)
	if err := decode([]byte(u.message.ItemContent), "content", u.store); err != nil {
		return nil, err
	}
	return u, u.match()
}

// match makes sure that the file is the one that the STORE names. A Buffer given to the TypeScript client 1.7 arrives with
// its bytes read as UTF-8 and line feeds turned into CRLF: text can be had back, and then has the hash that was signed;
// binary is lost.
func (u *upload) match() error {
	hash := HashContent(string(u.file))
	if hash == u.store.ItemHash {
		return nil
	}
	if restored := bytes.ReplaceAll(u.file, []byte("\r\n"), []byte("\n")); HashContent(string(restored)) == u.store.ItemHash {
		u.file = restored
		return nil
	}
	return reject(CodeFileMismatch, "file", "the file has the SHA-256 %s, the STORE names %s", hash, shorten(u.store.ItemHash)).
		hint("pass the file as a Blob: some clients change the bytes of a Buffer on the way")
}

// decodeEnvelope reads {"message":{…}}, which clients post.
func decodeEnvelope(text []byte, root string) (*Message, error) {
	var envelope struct {
		Message json.RawMessage `json:"message"`
	}
	if err := decode(text, root, &envelope); err != nil {
		return nil, err
	}
	if len(envelope.Message) == 0 {
		return nil, reject(CodeInvalidFormat, root, `has no "message"`)
	}
	return DecodeMessage(envelope.Message)
}

// mayUpload checks what can be checked of an upload before its file is stored.
func (n *Node) mayUpload(u *upload) error {
	if err := u.message.checkEnvelope(n.options.Now()); err != nil {
		return err
	}
	if err := u.message.Verify(); err != nil {
		return err
	}
	if err := n.checkSender(u.message, u.store); err != nil {
		return err
	}
	return n.checkAllowed(u.store)
}

// acceptUpload stores a file and accepts its message. The file stays if the message needs it.
func (n *Node) acceptUpload(ctx context.Context, u *upload, depth uint32) (Status, error) {
	hash, err := n.blobs.put(u.file, true)
	if err != nil {
		return "", err
	}
	status, err := n.AcceptAt(ctx, u.message, depth)
	unlock := n.locks.lock(lockFile, hash)
	n.settleFiles([]string{hash}, (*Blobs).release)
	unlock()
	n.wake(waitsForFile(hash))
	return status, err
}
