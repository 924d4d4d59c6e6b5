package api

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client speaks to a running control plane. What the control plane refuses comes back as a *Problem; that it could
// not be asked at all, as an *UnreachableError or, when its certificate is the reason, an *UntrustedError.
type Client struct {
	base   *url.URL
	token  string
	user   string
	http   *http.Client
	follow func(elector, url string)
}

// ClientSettings say which control plane to speak to, and as whom.
type ClientSettings struct {
	URL   string
	Token string      // bearer token; empty: none
	User  string      // who asks, for the record of a control plane without authentication
	TLS   *tls.Config // nil: the system's authorities
	// Follow is told where a call for a change is sent on to, before it is: once, to the elector that acts for the cluster,
	// when the one that was asked refuses and says where that is. nil: nothing is sent on, and the refusal comes back.
	Follow func(elector, url string)
}

// UnreachableError says that nothing answered, or something that is no control plane.
type UnreachableError struct {
	URL string
	Err error
}

// Error names the place.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no control plane answers at %s: %v", e.URL, e.Err)
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// NewClient checks the URL; it does not connect.
func NewClient(s ClientSettings) (*Client, error) {
	base, err := url.Parse(s.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("%q is no URL of a control plane; write it like http://127.0.0.1:3900", s.URL)
	}
	if s.Token != "" && base.Scheme == "http" && !localName(base.Host) {
		return nil, fmt.Errorf("a token would travel to %s in clear text; use https", base.Host)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = s.TLS
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Client{base: base, token: s.Token, user: s.User, http: client, follow: s.Follow}, nil
}

// URL is where the control plane is asked.
func (c *Client) URL() string { return c.base.String() }

// Close gives kept connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Clusters lists all clusters.
func (c *Client) Clusters(ctx context.Context) ([]Summary, error) {
	var list ClusterList
	err := c.get(ctx, prefix+"/clusters", nil, &list)
	return list.Clusters, err
}

// ClusterQuery says which clusters are asked for, and in which order; its zero value, for all by name.
type ClusterQuery struct {
	Q        string   // part of a name or address
	States   []string // one of these
	Severity string   // critical, warning or info: a finding of this severity, or a worse one
	Finding  string   // a finding with this code
	Elector  string   // who acts for them
	Worst    bool     // tell at most one finding of each, without evidence
	Trouble  bool     // first what needs somebody
	Limit    int      // 0: all
	After    string   // Next of the page before
}

func (q ClusterQuery) values() url.Values {
	v := queried("q", q.Q, "state", strings.Join(q.States, ","), "severity", q.Severity, "finding", q.Finding, "elector", q.Elector, "after", q.After, "limit", most(q.Limit))
	if q.Worst {
		v.Set("findings", "worst")
	}
	if q.Trouble {
		v.Set("sort", "trouble")
	}
	return v
}

// ClusterList lists the clusters that are asked for.
func (c *Client) ClusterList(ctx context.Context, q ClusterQuery) (ClusterList, error) {
	var list ClusterList
	err := c.get(ctx, prefix+"/clusters", q.values(), &list)
	return list, err
}

// RecentEvents lists what has happened, newest first; of all clusters when the name is empty, from the newest on when
// before is.
func (c *Client) RecentEvents(ctx context.Context, cluster, before string, limit int) (EventList, error) {
	query := url.Values{"limit": {strconv.Itoa(max(limit, 1))}}
	if cluster != "" {
		query.Set("cluster", cluster)
	}
	if before != "" {
		query.Set("before", before)
	}
	var list EventList
	err := c.get(ctx, prefix+"/events/recent", query, &list)
	return list, err
}

// EventQuery says which events are asked for; its zero value, for the newest hundred of all.
type EventQuery struct {
	Cluster string
	Kinds   []string // one of these
	Before  string   // Next of the page before, or the id of an event
	Limit   int      // 0: 100
}

// FindEvents lists what has happened and matches, newest first.
func (c *Client) FindEvents(ctx context.Context, q EventQuery) (EventList, error) {
	var list EventList
	err := c.get(ctx, prefix+"/events/recent", queried("cluster", q.Cluster, "kind", strings.Join(q.Kinds, ","), "before", q.Before, "limit", most(q.Limit)), &list)
	return list, err
}

// RecoveryQuery says which changes are asked for; its zero value, for the latest fifty of all clusters.
type RecoveryQuery struct {
	Cluster      string
	Kind         string    // adoption, planned or emergency
	States       []string  // one of these
	Automatic    string    // true: those that nobody asked for; false: those that somebody did
	Since, Until time.Time // begun then or later, and before
	Before       string    // Next of the page before
	Limit        int       // 0: 50
	Brief        bool      // without stages and certificate
}

// FindRecoveries lists the changes that match, newest first.
func (c *Client) FindRecoveries(ctx context.Context, q RecoveryQuery) (RecoveryList, error) {
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	query := queried("cluster", q.Cluster, "kind", q.Kind, "state", strings.Join(q.States, ","), "automatic", q.Automatic,
		"since", moment(q.Since), "until", moment(q.Until), "before", q.Before, "limit", most(q.Limit))
	if q.Brief {
		query.Set("brief", "true")
	}
	var list RecoveryList
	err := c.get(ctx, prefix+"/recoveries", query, &list)
	return list, err
}

// queried is a query of names with their values, without those that are empty.
func queried(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

func most(limit int) string {
	if limit <= 0 {
		return ""
	}
	return strconv.Itoa(limit)
}

// Whoami tells how the caller is known, and who answers.
func (c *Client) Whoami(ctx context.Context) (Whoami, error) {
	var told Whoami
	err := c.get(ctx, prefix+"/whoami", nil, &told)
	return told, err
}

// Cluster tells everything about one.
func (c *Client) Cluster(ctx context.Context, name string) (Cluster, error) {
	var told Cluster
	err := c.get(ctx, clusterURL(name), nil, &told)
	return told, err
}

// WhatIf tells what would happen if servers or zones (zone:NAME) failed together; without any, what each failure would
// lead to.
func (c *Client) WhatIf(ctx context.Context, cluster string, fail ...string) (WhatIf, error) {
	query := url.Values{}
	for _, one := range fail {
		query.Add("fail", one)
	}
	var told WhatIf
	err := c.get(ctx, clusterURL(cluster)+"/whatif", query, &told)
	return told, err
}

// Reparent changes the primary. With wait it returns when the change has ended, or the time is up.
func (c *Client) Reparent(ctx context.Context, cluster string, request ReparentRequest, wait time.Duration) (ReparentAnswer, error) {
	query := url.Values{}
	if wait > 0 {
		query.Set("wait", wait.String())
	}
	var told ReparentAnswer
	ctx, cancel := context.WithTimeout(ctx, wait+patience)
	defer cancel()
	err := c.sendOnce(ctx, http.MethodPost, clusterURL(cluster)+"/reparent", query, request, &told)
	return told, err
}

// Recoveries lists changes, newest first; of all clusters when the name is empty.
func (c *Client) Recoveries(ctx context.Context, cluster string, limit int) ([]Recovery, error) {
	list, err := c.RecoveryList(ctx, cluster, limit)
	return list.Recoveries, err
}

// RecoveryList is Recoveries, and tells whether they come from an elector's memory.
func (c *Client) RecoveryList(ctx context.Context, cluster string, limit int) (RecoveryList, error) {
	query := url.Values{}
	if cluster != "" {
		query.Set("cluster", cluster)
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var list RecoveryList
	err := c.get(ctx, prefix+"/recoveries", query, &list)
	return list, err
}

// Recovery tells everything about one change.
func (c *Client) Recovery(ctx context.Context, id string) (Recovery, error) {
	var told Recovery
	err := c.get(ctx, prefix+"/recoveries/"+url.PathEscape(id), nil, &told)
	return told, err
}

// Acknowledge lifts the anti-flapping window.
func (c *Client) Acknowledge(ctx context.Context, cluster, reason string) (Cluster, error) {
	var told Cluster
	err := c.sendOnce(ctx, http.MethodPost, clusterURL(cluster)+"/antiflap/ack", nil, AckRequest{Reason: reason}, &told)
	return told, err
}

// SetAutomation switches automatic changes.
func (c *Client) SetAutomation(ctx context.Context, cluster string, on bool, reason string) (Cluster, error) {
	var told Cluster
	err := c.sendOnce(ctx, http.MethodPut, clusterURL(cluster)+"/automation", nil, SwitchRequest{On: on, Reason: reason}, &told)
	return told, err
}

// SetMaintenance takes a server out, or back; without one, the whole cluster.
func (c *Client) SetMaintenance(ctx context.Context, cluster, server string, wanted MaintenanceRequest) (Cluster, error) {
	var told Cluster
	path := clusterURL(cluster)
	if server != "" {
		path += "/servers/" + url.PathEscape(server)
	}
	err := c.sendOnce(ctx, http.MethodPut, path+"/maintenance", nil, wanted, &told)
	return told, err
}

// Call asks for any other path, with a JSON body when the method changes something.
func (c *Client) Call(ctx context.Context, method, path string, body, into any) error {
	if method == http.MethodGet {
		return c.get(ctx, path, nil, into)
	}
	return c.send(ctx, method, path, nil, body, into)
}

func clusterURL(name string) string { return prefix + "/clusters/" + url.PathEscape(name) }

func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	request, err := c.request(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	return c.do(request, into)
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, body, into any) error {
	return c.sendKeyed(ctx, "", method, path, query, body, into)
}

// sendOnce sends what takes a key, and sends it again when the answer is lost: the key keeps it from being done twice. Whether
// keys are known there is asked before that, of a path that came with them.
func (c *Client) sendOnce(ctx context.Context, method, path string, query url.Values, body, into any) error {
	key := rand.Text()
	err := c.sendKeyed(ctx, key, method, path, query, body, into)
	if !errors.As(err, new(*UnreachableError)) || ctx.Err() != nil {
		return err
	}
	if _, knows := c.Whoami(ctx); knows != nil {
		return err
	}
	return c.sendKeyed(ctx, key, method, path, query, body, into)
}

func (c *Client) sendKeyed(ctx context.Context, key, method, path string, query url.Values, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	err = c.sendText(ctx, key, method, path, query, text, into)
	if refusal := c.refusedHere(err); refusal != nil {
		return c.sendOn(ctx, refusal, key, method, path, query, text, into)
	}
	return err
}

func (c *Client) sendText(ctx context.Context, key, method, path string, query url.Values, text []byte, into any) error {
	request, err := c.request(ctx, method, path, query, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set(keyHeader, key)
	}
	return c.do(request, into)
}

// request keeps escaped paths as they are, so that a name with a slash stays one segment.
func (c *Client) request(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	target := strings.TrimSuffix(c.base.String(), "/") + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("make a request for %s: %w", target, err)
	}
	request.Header.Set("Accept", "application/json")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.user != "" {
		request.Header.Set(userHeader, c.user)
	}
	return request, nil
}

// answerMax bounds what is read of an answer: enough for a thousand recoveries of large clusters.
const answerMax = 64 << 20

// patience is how long an answer may take that is not waited for on purpose.
const patience = 30 * time.Second

func (c *Client) do(request *http.Request, into any) error {
	if _, bounded := request.Context().Deadline(); !bounded {
		ctx, cancel := context.WithTimeout(request.Context(), patience)
		defer cancel()
		request = request.WithContext(ctx)
	}
	body, err := c.open(request)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if err := json.NewDecoder(io.LimitReader(body, answerMax)).Decode(into); err != nil {
		return c.broken(request.Context(), fmt.Errorf("its answer cannot be read: %w", err))
	}
	return nil
}

// open sends a request and returns the body of the answer when it is a good one; the caller closes it.
func (c *Client) open(request *http.Request) (io.ReadCloser, error) {
	response, err := c.http.Do(request)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // the URL stands in our own message
		}
		return nil, c.broken(request.Context(), err)
	}
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch {
	case response.StatusCode < 300 && (kind == "application/json" || kind == "text/event-stream"):
		return response.Body, nil
	case kind == problemType:
		defer func() { _ = response.Body.Close() }()
		return nil, c.problem(response)
	}
	defer func() { _ = response.Body.Close() }()
	if needsHTTPS(response) {
		return nil, &UnreachableError{c.URL(), fmt.Errorf("%w, it speaks TLS; write https:// instead of http://", ErrScheme)}
	}
	return nil, &UnreachableError{c.URL(), fmt.Errorf("something else answered (%s, %s)", response.Status, kind)}
}

func (c *Client) broken(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = errors.New("no answer came in time")
	case needsHTTP(err):
		err = fmt.Errorf("%w, it speaks no TLS; write http:// instead of https://", ErrScheme)
	}
	return cmp.Or(untrusted(c.URL(), err), error(&UnreachableError{c.URL(), err}))
}

func (c *Client) problem(response *http.Response) error {
	var p Problem
	if err := json.NewDecoder(io.LimitReader(response.Body, answerMax)).Decode(&p); err != nil {
		return &UnreachableError{c.URL(), fmt.Errorf("its answer cannot be read: %w", err)}
	}
	return &p
}

// Listener receives the stream of events.
type Listener struct {
	body  io.Closer
	lines *bufio.Scanner
}

// Listen connects to the stream; every event that happens after it has returned is received. Events of one cluster
// only when it is named; after lastID when that is given.
func (c *Client) Listen(ctx context.Context, cluster, lastID string) (*Listener, error) {
	query := url.Values{}
	if cluster != "" {
		query.Set("cluster", cluster)
	}
	request, err := c.request(ctx, http.MethodGet, prefix+"/events", query, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	body, err := c.open(request)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 64<<10), 8<<20)
	return &Listener{body: body, lines: lines}, nil
}

// Next waits for an event; io.EOF when the stream has ended.
func (l *Listener) Next() (Event, error) {
	var data []byte
	for l.lines.Scan() {
		line := l.lines.Bytes()
		switch text, isData := bytes.CutPrefix(line, []byte("data: ")); {
		case isData:
			data = append(data, text...)
		case len(line) == 0 && len(data) > 0:
			var e Event
			if err := json.Unmarshal(data, &e); err != nil {
				return Event{}, fmt.Errorf("an event cannot be read: %w", err)
			}
			return e, nil
		}
	}
	if err := l.lines.Err(); err != nil {
		return Event{}, err
	}
	return Event{}, io.EOF
}

// Close leaves the stream.
func (l *Listener) Close() error { return l.body.Close() }
