package policy

import (
	"testing"
	"time"
)

func TestProto(t *testing.T) {
	begin := time.Now()
	r := Check(5, nil)
	t.Log(time.Since(begin))
	t.Log(r)
}
