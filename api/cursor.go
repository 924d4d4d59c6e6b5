package api

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// position is where something stands in a list. No two things of a list share one, so that a page can begin behind any
// of them, also when it is gone by then or others have come in between.
type position struct {
	rank int64
	name string
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.rank, q.rank), cmp.Compare(p.name, q.name))
}

// cursor is the text for a position in a list of one order. It says of itself which order that is: pages of different
// orders would leave things out between them.
func (p position) cursor(order string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(order + " " + strconv.FormatInt(p.rank, 36) + " " + p.name))
}

// readCursor is nil for the first page.
func readCursor(location, order, text string) (*position, error) {
	if text == "" {
		return nil, nil
	}
	plain, err := base64.RawURLEncoding.Strict().DecodeString(text)
	of, rest, _ := strings.Cut(string(plain), " ")
	number, name, found := strings.Cut(rest, " ")
	rank, notANumber := strconv.ParseInt(number, 36, 64)
	if err != nil || of != order || !found || notANumber != nil {
		return nil, mistaken(location, "this is not where a page of this list begins; take next of the page before, and leave sort as it was")
	}
	return &position{rank, name}, nil
}

// paged sorts, and cuts out the page after a position; next is where the following one begins, empty when there is none.
// Without a limit everything is one page.
func paged[T any](all []T, at func(T) position, after *position, limit int, order string) (page []T, next string) {
	slices.SortFunc(all, func(a, b T) int { return at(a).compare(at(b)) })
	if after != nil {
		first, _ := slices.BinarySearchFunc(all, *after, func(one T, p position) int {
			return cmp.Or(at(one).compare(p), -1) // behind p, not at it
		})
		all = all[first:]
	}
	if limit <= 0 || len(all) <= limit {
		return all, ""
	}
	return all[:limit], at(all[limit-1]).cursor(order)
}
