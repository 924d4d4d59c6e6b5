package api

import (
	"cmp"
	"net/url"
	"strconv"
	"time"
)

// Past asks for a page of what was done, newest first.
type Past struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"20"`
	Before string `query:"before" maxLength:"500" doc:"The page after this place, which next of the page before tells."`
}

// pastPage cuts the page out. The first one is read alone, as it is what is asked for again and again; read gives all for 0.
func pastPage[T any](in Past, order string, read func(limit int) ([]T, error), at func(T) position) (page []T, next string, err error) {
	after, err := readCursor("query.before", order, in.Before)
	if err != nil {
		return nil, "", err
	}
	limit := in.Limit + 1 // one more tells whether there is another page
	if after != nil {
		limit = 0
	}
	all, err := read(limit)
	if err != nil {
		return nil, "", err
	}
	page, next = paged(all, at, after, in.Limit, order)
	return page, next, nil
}

// begunAt is the place of what began at a time, the latest first.
func begunAt(at time.Time, id string) position { return position{-at.UnixMicro(), id} }

// pastQuery asks for such a page.
func pastQuery(limit int, before string) url.Values {
	q := url.Values{"limit": {strconv.Itoa(cmp.Or(limit, 20))}}
	if before != "" {
		q.Set("before", before)
	}
	return q
}
