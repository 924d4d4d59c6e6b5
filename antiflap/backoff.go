package antiflap

import "time"

// The pause after a failed attempt: retryBase, then twice as long each time, up to retryMax. It is much shorter than a
// window because a failed attempt changed no primary: the cluster still has none, and the cause may pass at any moment.
const (
	retryBase = time.Second
	retryMax  = 30 * time.Second
)

// AttemptFailed takes note of an attempt that ended before establishment. It opens no window and lengthens none.
func (c Cluster) AttemptFailed(now time.Time) Cluster {
	c.Attempts++
	c.RetryAt = wall(now).Add(backoff(c.Attempts))
	return c
}

// AttemptsReset forgets failed attempts: one succeeded, the cluster is healthy again, or the situation is a new one
// (a server came back that an attempt was missing).
func (c Cluster) AttemptsReset() Cluster {
	c.Attempts, c.RetryAt = 0, time.Time{}
	return c
}

func backoff(attempts int) time.Duration {
	pause := retryBase
	for range attempts - 1 {
		if pause >= retryMax {
			break
		}
		pause *= 2
	}
	return min(pause, retryMax)
}

// retryLeft is how long the back-off still lasts, capped like a window's.
func (c Cluster) retryLeft(now time.Time) time.Duration {
	if c.Attempts == 0 {
		return 0
	}
	return max(0, min(c.RetryAt.Sub(now), backoff(c.Attempts)))
}
