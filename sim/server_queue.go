package sim

// queue is first in, first out, and uses its memory again.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) push(item T) {
	if q.head > 0 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, item)
}

func (q *queue[T]) pop() T {
	var none T
	item := q.items[q.head]
	q.items[q.head] = none
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return item
}

// emptied is a queue of nothing that uses the memory of this one.
func (q *queue[T]) emptied() queue[T] {
	clear(q.items)
	return queue[T]{items: q.items[:0]}
}

// first is the next one to be popped.
func (q *queue[T]) first() T { return q.items[q.head] }

func (q *queue[T]) len() int { return len(q.items) - q.head }

// all is what is in the queue, the oldest first, until the next push or pop.
func (q *queue[T]) all() []T { return q.items[q.head:] }
