package gtid

import "strconv"

// GTID names one transaction.
type GTID struct {
	UUID   UUID
	Tag    string
	Number int64
}

// Source returns the stream that the number belongs to.
func (g GTID) Source() Source { return Source{g.UUID, g.Tag} }

// String is uuid:number or uuid:tag:number.
func (g GTID) String() string {
	return string(strconv.AppendInt(append(g.Source().append(nil), ':'), g.Number, 10))
}
