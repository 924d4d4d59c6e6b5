package api

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// UntrustedError says that somebody answered with a certificate that proves nothing. Nothing was sent, no token either.
type UntrustedError struct {
	URL string
	Err error // an error of crypto/x509
}

// Error names the place.
func (e *UntrustedError) Error() string {
	return fmt.Sprintf("the certificate of %s is not accepted: %v", e.URL, e.Err)
}

// Unwrap gives the cause.
func (e *UntrustedError) Unwrap() error { return e.Err }

// Remedy says what the caller can do about it.
func (e *UntrustedError) Remedy() string {
	var unknown x509.UnknownAuthorityError
	var elsewhere x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(e.Err, &unknown):
		return "Name the authority that signed it with --ca-file FILE or PRIMACY_CA_FILE."
	case errors.As(e.Err, &elsewhere):
		return "Ask for the control plane by a name that stands in its certificate, with --api URL or PRIMACY_API."
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.Expired:
		return "Renew it (tls.cert_file of the control plane's configuration), or set this machine's clock."
	}
	return "See tls.cert_file of the control plane's configuration."
}

// untrusted tells a certificate that was refused from a control plane that is not there.
func untrusted(url string, err error) error {
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) {
		return nil
	}
	return &UntrustedError{url, refused.Err}
}

// ErrScheme is the cause of an UnreachableError when https was tried where http is spoken, or the other way round.
var ErrScheme = errors.New("wrong scheme")

// needsHTTP tells that the other side answered a greeting of TLS with something else.
func needsHTTP(err error) bool {
	var noTLS tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &noTLS)
}

// needsHTTPS tells that a server of TLS was asked in clear text; servers say so, each in its own words.
func needsHTTPS(response *http.Response) bool {
	if response.StatusCode != http.StatusBadRequest {
		return false
	}
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return err == nil && strings.Contains(string(said), "HTTPS")
}
