package mysqld

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
)

// exportMax is how large a transcript may be that goes into the store, which takes no larger values.
const exportMax = 1 << 20

// export reads the errant transactions and has them on record before anything is done to the server: in its result,
// which is stored, or in a file where they are too large for that.
func (f *Fleet) export(ctx context.Context, t settle.Task) settle.Result {
	if t.Set.IsEmpty() {
		return doneStep("there is nothing to export")
	}
	transcript, err := f.Decode(ctx, t.Server, t.Set, t.Limits)
	if err != nil {
		return failedStep(ctx, err)
	}
	if r, refused := incomplete(transcript, t); refused {
		return r
	}
	text, err := json.MarshalIndent(transcript, "", " ")
	if err != nil {
		return failedStep(ctx, err)
	}
	r := doneStep("%d transactions with %d rows are on record", len(transcript.Transactions), transcript.Rows)
	r.Transcript = &transcript
	if len(text) <= exportMax {
		return r
	}
	return exportToFile(r, text, t)
}

// incomplete refuses to go on while what is about to go is not all on record.
func incomplete(transcript settle.Transcript, t settle.Task) (settle.Result, bool) {
	switch {
	case t.AcceptIncomplete:
	case !transcript.Missing.IsEmpty():
		r := refusedStep("not_readable", "%s: its binary log does not hold %s; they were purged, or are not applied yet: what is not on record is not given up but knowingly", t.Server, transcript.Missing)
		r.Final = false // what waits for the applier will be there
		return r, true
	case len(transcript.Lacking()) > 0:
		x := transcript.Lacking()[0]
		return refusedStep("not_told", "%s: %s holds what is not told (%s), so that its statements would do something else: what is not on record is not given up but knowingly", t.Server, x.GTID, strings.Join(x.Lacks, ", ")), true
	case transcript.Truncated:
		return refusedStep("rows_max", "%s: the transactions change %d rows, more than errant.rows_max: raise it, or export them by hand and accept it", t.Server, transcript.Rows), true
	}
	return settle.Result{}, false
}

func exportToFile(r settle.Result, text []byte, t settle.Task) settle.Result {
	if t.ExportDir == "" {
		return refusedStep("too_large", "%s: the transactions take %d bytes as text, and %d fit into the store: set errant.export_dir", t.Server, len(text), exportMax)
	}
	name := fmt.Sprintf("%s-%s-%s.json", url.PathEscape(t.Cluster), url.PathEscape(string(t.Server)), url.PathEscape(t.Settlement))
	file, err := writeDurably(t.ExportDir, name, text)
	if err != nil {
		return settle.Result{Outcome: reparent.No, Code: "export_dir", Detail: fmt.Sprintf("write the transactions of %s to errant.export_dir: %v", t.Server, err)}
	}
	brief := *r.Transcript
	brief.File, brief.Transactions = file, nil
	r.Transcript = &brief
	r.Detail += " in " + file
	return r
}

// writeDurably writes a file that is whole and on disk when it returns, whatever happens after.
func writeDurably(dir, name string, text []byte) (path string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(dir, name)
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	for _, finish := range []func() error{f.Sync, f.Close} {
		if e := finish(); err == nil {
			err = e
		}
	}
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err == nil {
		err = syncDirectory(dir)
	}
	return path, err
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		_ = d.Close()
		return err
	}
	return d.Close()
}
