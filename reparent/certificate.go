package reparent

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Link names a certificate: whose it is, and its digest.
type Link struct {
	ID     string `json:"id"`
	Digest string `json:"digest"`
}

// OperationID names the change of a cluster under a term. Later ones have later names.
func OperationID(cluster string, term uint32) string { return fmt.Sprintf("%s-%010d", cluster, term) }

// Sealed returns an operation that has ended with its digest filled in: the hex SHA-256 over all else in it, the link to the
// change before it included. So none of them can be altered without altering all that came after it.
func (op Operation) Sealed() (Operation, error) {
	op.Digest = ""
	if op.Digest = op.quickDigest(); op.Digest != "" {
		return op, nil
	}
	text, err := json.Marshal(op)
	if err != nil {
		return op, fmt.Errorf("seal %s: %w", op.ID, err)
	}
	tree, err := parsed(text)
	if err != nil {
		return op, fmt.Errorf("seal %s: %w", op.ID, err)
	}
	op.Digest, err = digestOf(tree)
	return op, err
}

// quickDigest is the digest of an operation without one; empty where it takes digestOf to find it.
func (op *Operation) quickDigest() string {
	text, able := canonical(make([]byte, 0, canonicalRoom), op, operationForm)
	if !able {
		return ""
	}
	return hashed(text)
}

func hashed(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Link names the operation's certificate.
func (op Operation) Link() Link { return Link{ID: op.ID, Digest: op.Digest} }

// CertificateFormat stands in each certificate, so that nobody takes anything else for one.
const CertificateFormat = "primacy-certificate-1"

// Certificate is an operation that has ended, as it was put on record and as a file holds it.
type Certificate struct {
	Operation Operation
	digest    string // of the text that was read
	strange   string // what in it means nothing to this release
}

// certificateMax is far above what any change leaves behind.
const certificateMax = 16 << 20

// ErrNoCertificate is what a text is that is no certificate at all.
var ErrNoCertificate = errors.New("this is no certificate of Primacy")

// ReadCertificate reads what CertificateOf wrote. That a file can be read says nothing of what is in it: see Claims.
func ReadCertificate(text []byte) (Certificate, error) {
	if len(text) > certificateMax {
		return Certificate{}, fmt.Errorf("%w: it is longer than %d bytes", ErrNoCertificate, certificateMax)
	}
	tree, err := parsed(text)
	if err != nil {
		return Certificate{}, fmt.Errorf("%w: %w", ErrNoCertificate, err)
	}
	whole, _ := tree.(map[string]any)
	operation, _ := whole["operation"].(map[string]any)
	if whole["format"] != CertificateFormat || operation == nil {
		return Certificate{}, fmt.Errorf("%w: format %q is not there", ErrNoCertificate, CertificateFormat)
	}
	var file struct {
		Format    string    `json:"format"`
		Operation Operation `json:"operation"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return Certificate{}, fmt.Errorf("%w: %w", ErrNoCertificate, err)
	}
	c := Certificate{Operation: file.Operation}
	if c.strange, err = unread(tree, file); err != nil {
		return Certificate{}, err
	}
	delete(operation, "digest")
	c.digest, err = digestOf(operation)
	return c, err
}

// CertificateOf is the file that holds a stored operation, as it stands in the store.
func CertificateOf(operation []byte) ([]byte, error) {
	file := struct {
		Format    string          `json:"format"`
		Operation json.RawMessage `json:"operation"`
	}{CertificateFormat, operation}
	text, err := json.MarshalIndent(file, "", " ")
	return append(text, '\n'), err
}

// digestOf hashes a tree as JSON with sorted keys and without blanks, so that a file may be laid out anew.
func digestOf(tree any) (string, error) {
	text, err := json.Marshal(tree)
	return hashed(text), err
}

// nestedMost is how deep a certificate may be nested; what is deeper was made to hurt.
const nestedMost = 40

var (
	errNested   = errors.New("it is nested too deeply")
	errTwice    = errors.New("a key stands twice in one object, and readers would differ in which one they take")
	errTrailing = errors.New("something follows the end of it")
)

// parsed reads JSON so that all readers understand it alike: numbers as they stand there, and no key twice.
func parsed(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	tree, err := branch(d, nestedMost)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errTrailing
	}
	return tree, nil
}

func branch(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch {
	case depth == 0:
		return nil, errNested
	case t == json.Delim('{'):
		return object(d, depth-1)
	case t == json.Delim('['):
		return array(d, depth-1)
	}
	return t, nil
}

func object(d *json.Decoder, depth int) (any, error) {
	all := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := t.(string)
		if _, twice := all[key]; twice {
			return nil, fmt.Errorf("%q: %w", key, errTwice)
		}
		if all[key], err = branch(d, depth); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return all, err
}

func array(d *json.Decoder, depth int) (any, error) {
	all := []any{}
	for d.More() {
		one, err := branch(d, depth)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	_, err := d.Token()
	return all, err
}

// unread finds the first thing in a text that this release does not take in: it would be under the digest, and no
// question would be asked of it. Empty when there is none.
func unread(tree, value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	known, err := parsed(text)
	if err != nil {
		return "", err
	}
	return beyond("", tree, known), nil
}

// beyond is the place of what one tree holds and the other does not.
func beyond(at string, tree, known any) string {
	switch t := tree.(type) {
	case map[string]any:
		k, _ := known.(map[string]any)
		found := ""
		for key, one := range t {
			if more := beyond(at+"."+key, one, k[key]); more != "" && (found == "" || more < found) {
				found = more
			}
		}
		return found
	case []any:
		k, _ := known.([]any)
		if len(k) != len(t) {
			return cmp.Or(at, ".")
		}
		for i := range t {
			if found := beyond(fmt.Sprintf("%s[%d]", at, i), t[i], k[i]); found != "" {
				return found
			}
		}
		return ""
	}
	if tree == known || zero(tree) && known == nil {
		return ""
	}
	return cmp.Or(at, ".")
}

// zero tells whether a value says no more than its absence does.
func zero(v any) bool {
	return v == nil || v == "" || v == false || v == json.Number("0")
}
