package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
)

// CertificatePlane is what the API needs of the orchestrator for certificates; see ControlPlane.
type CertificatePlane interface {
	// Certificate is the file of one change of a cluster that has ended.
	Certificate(ctx context.Context, cluster, id string) ([]byte, error)
}

// CodeNoCertificate is the problem of a change that is under way, or ended under a release that made no certificates.
const CodeNoCertificate = "no_certificate"

// Verification is what came of re-computing a certificate.
type Verification struct {
	ID       string `json:"id" example:"shop-0000000003"`
	Cluster  string `json:"cluster"`
	Digest   string `json:"digest" doc:"Over all of the certificate, in hex."`
	Follows  *Link  `json:"follows,omitempty" doc:"The certificate before this one; absent on the first."`
	Verified bool   `json:"verified" doc:"No claim is refuted."`
	// Claims come in the order in which they are asked about.
	Claims []Claim `json:"claims" nullable:"false"`
}

// Link names a certificate.
type Link struct {
	ID     string `json:"id"`
	Digest string `json:"digest"`
}

// Claim is one thing that a certificate says.
type Claim struct {
	Name     string `json:"name" example:"revocation"`
	Standing string `json:"standing" enum:"holds,accepted,untold,refuted" doc:"holds: it follows from the evidence. accepted: a loss was possible, and somebody or the policy answers for it. untold: the file does not hold what it would take to tell. refuted: it does not follow, or the file was altered."`
	Detail   string `json:"detail"`
}

type certificatePath struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	ID      string `path:"id" example:"shop-0000000003" maxLength:"100"`
}

// download is a file, to the letter.
type download struct {
	Type        string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (f *front) describeCertificates(described huma.API) {
	if f.settings.Certificates == nil {
		return
	}
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "get-certificate", Method: http.MethodGet, Path: prefix + "/clusters/{cluster}/recoveries/{id}/certificate", Tags: []string{"changes"},
		Summary:     "What proves afterwards why a change was safe, as a file",
		Description: "Everything that the change was decided by, under a digest that covers the certificate before it. `primacy verify FILE` re-computes it without any server. 409 with code no_certificate while the change is under way.",
		Responses: map[string]*huma.Response{"200": {
			Description: "A certificate, to the letter", Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}}},
		}},
	}), f.certificate)
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "verify-certificate", Method: http.MethodGet, Path: prefix + "/clusters/{cluster}/recoveries/{id}/verification", Tags: []string{"changes"},
		Summary:     "What comes of re-computing a certificate",
		Description: "Claim by claim, as `primacy verify` does; by the control plane's own word, so whoever does not want to take that downloads the file.",
	}), f.verification)
}

func (f *front) certificate(ctx context.Context, in *certificatePath) (*download, error) {
	text, err := f.settings.Certificates.Certificate(ctx, in.Cluster, in.ID)
	if err != nil {
		return nil, f.certificateProblem(err)
	}
	return &download{"application/json", `attachment; filename="` + url.PathEscape(in.ID) + `.json"`, text}, nil
}

func (f *front) verification(ctx context.Context, in *certificatePath) (*body[Verification], error) {
	text, err := f.settings.Certificates.Certificate(ctx, in.Cluster, in.ID)
	if err != nil {
		return nil, f.certificateProblem(err)
	}
	c, err := reparent.ReadCertificate(text)
	if err != nil {
		return nil, f.problemOf(err)
	}
	return &body[Verification]{VerificationOf(c)}, nil
}

// VerificationOf re-computes a certificate.
func VerificationOf(c reparent.Certificate) Verification {
	op, claims := c.Operation, c.Claims()
	v := Verification{ID: op.ID, Cluster: op.Cluster, Digest: op.Digest, Verified: reparent.Stands(claims), Claims: []Claim{}}
	if op.Follows != (reparent.Link{}) {
		v.Follows = &Link{ID: op.Follows.ID, Digest: op.Follows.Digest}
	}
	for _, claim := range claims {
		v.Claims = append(v.Claims, ClaimOf(claim))
	}
	return v
}

// ClaimOf is a claim as the API tells it.
func ClaimOf(c reparent.Claim) Claim {
	return Claim{Name: c.Name, Standing: string(c.Standing), Detail: c.Detail}
}

func (f *front) certificateProblem(err error) error {
	if errors.Is(err, orchestrator.ErrNoCertificate) {
		return newProblem(http.StatusConflict, CodeNoCertificate, err.Error())
	}
	return f.problemOf(err)
}

// Certificate is the file that proves of one change why it was safe.
func (c *Client) Certificate(ctx context.Context, cluster, id string) ([]byte, error) {
	var text json.RawMessage
	err := c.get(ctx, clusterURL(cluster)+"/recoveries/"+url.PathEscape(id)+"/certificate", nil, &text)
	return text, err
}
