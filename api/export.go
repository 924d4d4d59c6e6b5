package api

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// export is a file for people: browsers save it instead of showing it.
type export struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (f *front) describeExports(described huma.API) {
	if f.settings.Errant == nil {
		return
	}
	exported := func(op huma.Operation) huma.Operation {
		op = needs(RoleOperator, op)
		op.Method, op.Tags, op.Middlewares = http.MethodGet, []string{"errant"}, huma.Middlewares{f.patient}
		op.Responses = map[string]*huma.Response{"200": {
			Description: "Statements that would do again what the transactions did.",
			Content:     map[string]*huma.MediaType{sqlType: {Schema: &huma.Schema{Type: huma.TypeString}}},
		}}
		return op
	}
	huma.Register(described, exported(huma.Operation{
		OperationID: "export-errant", Path: prefix + "/clusters/{cluster}/servers/{server}/errant/export",
		Summary: "What an errant server holds, as SQL", Description: "Read from its binary log when it is asked for. What is lacking is said in the first lines. To be looked at before it is run anywhere.",
	}), f.exportErrant)
	huma.Register(described, exported(huma.Operation{
		OperationID: "export-settlement", Path: prefix + "/clusters/{cluster}/settlements/{id}/export",
		Summary: "What a settlement's transactions did, as SQL", Description: "As it was put on record before they went.",
	}), f.exportSettlement)
}

const sqlType = "application/sql"

func (f *front) exportErrant(ctx context.Context, in *struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Server  string `path:"server" example:"db1:3306" maxLength:"300"`
}) (*export, error) {
	ctx, cancel := context.WithTimeout(ctx, readingMax)
	defer cancel()
	found, err := f.settings.Errant.Errant(ctx, in.Cluster, topology.Address(in.Server))
	if err != nil {
		return nil, f.problemOf(err)
	}
	if len(found) == 0 {
		return nil, newProblem(http.StatusConflict, CodeNotErrant, clip(in.Server)+" holds nothing that is errant")
	}
	if e := found[0]; e.Unread != "" && len(e.Transcript.Transactions) == 0 {
		return nil, newProblem(http.StatusConflict, CodeCannotSettle, e.Unread)
	}
	return exportOf("errant-"+in.Cluster+"-"+in.Server, found[0].Transcript)
}

func (f *front) exportSettlement(ctx context.Context, in *struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	ID      string `path:"id" maxLength:"100"`
}) (*export, error) {
	s, t, err := f.settings.Errant.Settlement(ctx, in.Cluster, in.ID)
	if err != nil {
		return nil, f.unsettled(err, in.Cluster, in.ID)
	}
	if s.ExportedTo == "" {
		return nil, newProblem(http.StatusConflict, CodeNotErrant, "nothing of "+clip(in.ID)+" is on record yet")
	}
	return exportOf("settled-"+s.ID, t)
}

func exportOf(name string, t settle.Transcript) (*export, error) {
	var text bytes.Buffer
	if err := t.WriteSQL(&text); err != nil {
		return nil, err
	}
	return &export{ContentType: sqlType + "; charset=utf-8", Disposition: `attachment; filename="` + fileName(name) + `.sql"`, Body: text.Bytes()}, nil
}

// fileName keeps of a name what every file system takes.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-':
			return r
		}
		return '_'
	}, name)
}
