package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Document is something that is remembered under a key, as "operations/shop/0001".
type Document struct {
	Key   string
	Value []byte
	// Revision grows with every write to the store, whichever the document.
	Revision int64
}

// documentOf keeps an empty document apart from none: its Value is not nil.
func documentOf(kv *mvccpb.KeyValue) Document {
	return Document{
		Key:      strings.TrimPrefix(string(kv.Key), documents),
		Value:    append([]byte{}, kv.Value...),
		Revision: kv.ModRevision,
	}
}

func keysOf(docs []Document) string {
	keys := make([]string, len(docs))
	for i, doc := range docs {
		keys[i] = doc.Key
	}
	return fmt.Sprintf("%q", keys)
}

// Get reads one document as it stands now, not as a member that lags behind remembers it. The flag is false if there
// is none.
func (s *Store) Get(ctx context.Context, key string) (Document, bool, error) {
	var kv *mvccpb.KeyValue
	err := s.persist(ctx, "read "+key, func(ctx context.Context) error {
		reply, err := s.client.Get(ctx, documents+key)
		if err == nil {
			kv = first(reply)
		}
		return err
	})
	if err != nil || kv == nil {
		return Document{}, false, err
	}
	return documentOf(kv), true, nil
}

// List reads the documents whose keys begin with prefix, in the order of their keys, at most limit of them unless
// that is 0. Newest first means the highest key first.
func (s *Store) List(ctx context.Context, prefix string, limit int, newestFirst bool) ([]Document, error) {
	docs, _, err := s.list(ctx, prefix, limit, newestFirst)
	return docs, err
}

func (s *Store) list(ctx context.Context, prefix string, limit int, newestFirst bool) (docs []Document, revision int64, err error) {
	order := clientv3.SortAscend
	if newestFirst {
		order = clientv3.SortDescend
	}
	err = s.persist(ctx, "list "+prefix, func(ctx context.Context) error {
		reply, err := s.client.Get(ctx, documents+prefix, clientv3.WithPrefix(),
			clientv3.WithSort(clientv3.SortByKey, order), clientv3.WithLimit(int64(limit)))
		if err != nil {
			return err
		}
		docs, revision = nil, reply.Header.Revision
		for _, kv := range reply.Kvs {
			docs = append(docs, documentOf(kv))
		}
		return nil
	})
	return docs, revision, err
}

// Watch sends the documents whose keys begin with prefix as they stand, and then each again when it changes; a deleted
// one comes without a Value. After an interruption only the latest state is sent. The channel is closed when ctx ends
// or the store is closed. It is meant for a few watchers that stay, as one for each consumer inside this process.
func (s *Store) Watch(ctx context.Context, prefix string) <-chan Document {
	news := make(chan Document)
	started := s.own(func() {
		defer close(news)
		ctx, cancel := within(ctx, s.ctx)
		defer cancel()
		f := follower{store: s, prefix: prefix, news: news, known: map[string]int64{}}
		f.run(ctx)
	})
	if !started {
		close(news)
	}
	return news
}

// follower keeps one watcher informed. known holds what it has been told, to tell it of what vanished unseen.
type follower struct {
	store  *Store
	prefix string
	news   chan<- Document
	known  map[string]int64
}

func (f *follower) run(ctx context.Context) {
	for {
		revision, err := f.catchUp(ctx)
		if err == nil {
			f.stream(ctx, revision+1)
		}
		if !pause(ctx, retryPause) {
			return
		}
	}
}

// catchUp sends whatever differs from what is known.
func (f *follower) catchUp(ctx context.Context) (int64, error) {
	docs, revision, err := f.store.list(ctx, f.prefix, 0, false)
	if err != nil {
		return 0, err
	}
	gone := maps.Clone(f.known)
	for _, doc := range docs {
		delete(gone, doc.Key)
		f.tell(ctx, doc)
	}
	for _, key := range slices.Sorted(maps.Keys(gone)) {
		f.tell(ctx, Document{Key: key, Revision: revision})
	}
	return revision, nil
}

func (f *follower) stream(ctx context.Context, from int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watching := clientv3.WithRequireLeader(ctx)
	news := f.store.client.Watch(watching, documents+f.prefix, clientv3.WithPrefix(), clientv3.WithRev(from))
	for reply := range until(ctx, news) {
		for _, event := range reply.Events {
			doc := documentOf(event.Kv)
			if event.Type == clientv3.EventTypeDelete {
				doc.Value = nil
			}
			f.tell(ctx, doc)
		}
	}
}

func (f *follower) tell(ctx context.Context, doc Document) {
	if f.known[doc.Key] >= doc.Revision {
		return
	}
	select {
	case f.news <- doc:
	case <-ctx.Done():
		return
	}
	if f.known[doc.Key] = doc.Revision; doc.Value == nil {
		delete(f.known, doc.Key)
	}
}
