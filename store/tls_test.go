package store

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates, and keeps them with their keys as files of a directory.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign writes NAME.crt and NAME.key.
func (a *authority) sign(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	must(a.t, err)
	secret, err := x509.MarshalECPrivateKey(key)
	must(a.t, err)
	a.write(name+".crt", "CERTIFICATE", der)
	a.write(name+".key", "EC PRIVATE KEY", secret)
	made, err := x509.ParseCertificate(der)
	must(a.t, err)
	return made, key
}

func (a *authority) write(file, kind string, der []byte) {
	a.t.Helper()
	must(a.t, os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// server signs etcd.crt for loopback.
func (a *authority) server() {
	a.sign("etcd", &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	})
}

// client is what a client needs that trusts this authority, and shows a certificate of signer, unless that is nil.
func (a *authority) client(signer *authority) *tls.Config {
	a.t.Helper()
	trusted := x509.NewCertPool()
	trusted.AddCert(a.cert)
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted}
	if signer != nil {
		signer.sign("client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature})
		pair, err := tls.LoadX509KeyPair(filepath.Join(signer.dir, "client.crt"), filepath.Join(signer.dir, "client.key"))
		must(a.t, err)
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

func TestAnEtcdThatAsksForCertificatesIsUsedAndAMisfitIsExplained(t *testing.T) {
	t.Parallel()
	right, wrong := newAuthority(t), newAuthority(t)
	right.server()
	address := freeAddress(t)
	etcd := startEtcdAt(t, "https://"+address, "TLS="+right.dir)
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}, TLS: right.client(right), LeaseTTL: ttl})
	l := acquire(t, s, "shop")
	must(t, l.Put(t.Context(), doc("d", "x")))
	begun := time.Now()
	eventually(t, "the lock is kept alive", func() bool { return l.Deadline().After(begun.Add(2 * ttl)) })
	etcd.kill()
	etcd.start()
	if got := value(t, s, "d"); got != "x" {
		t.Errorf("after a restart of etcd the document says %q", got)
	}

	plain := startEtcdProcess(t)
	otherName := right.client(right)
	otherName.ServerName = "etcd-1"
	for _, c := range []struct {
		name     string
		endpoint string
		tls      *tls.Config
		want     []string
	}{
		{"an authority that did not sign etcd's certificate", etcd.endpoint, wrong.client(right), []string{"certificate signed by unknown authority", "ca_file"}},
		{"a name that is not in etcd's certificate", etcd.endpoint, otherName, []string{"etcd-1", "server_name"}},
		{"no certificate to show", etcd.endpoint, right.client(nil), []string{"certificate required", "cert_file"}},
		{"a certificate that etcd does not trust", etcd.endpoint, right.client(wrong), []string{"unknown certificate authority", "cert_file"}},
		{"the system's authorities", etcd.endpoint, nil, []string{"certificate signed by unknown authority", "ca_file"}},
		{"TLS to an etcd without it", "https://" + strings.TrimPrefix(plain.endpoint, "http://"), right.client(right), []string{"hangs up on TLS", "http://"}},
		{"clear text", "http://" + address, nil, []string{"hangs up on clear text", "https://"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := openFails(t, Settings{Endpoints: []string{c.endpoint}, TLS: c.tls, ReadyTimeout: 1500 * time.Millisecond}, append(c.want, c.endpoint)...)
			mustFail(t, err, ErrUnavailable)
		})
	}
}
