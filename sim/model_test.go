package sim

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// three is a model of A, which leads B and C.
func three() *Model {
	var servers []ModelServer
	for i, a := range []topology.Address{"A", "B", "C"} {
		servers = append(servers, ModelServer{Address: a, UUID: gtid.UUID{15: byte(i + 1)}, ServerID: uint32(i + 1)})
	}
	m := NewModel(1, servers)
	for _, a := range []topology.Address{"B", "C"} {
		m.ChangeSource(a, "A", true)
		m.Rest(time.Second)
		m.StartReceiver(a)
		m.StartApplier(a)
	}
	m.SetSource("A", true)
	m.OpenForWrites("A")
	m.Rest(time.Second)
	return m
}

func TestAModelTellsWhatItsClientsHear(t *testing.T) {
	m := three()
	defer m.Close()
	written, refused := m.Write("A", 1), m.Write("B", 2)
	m.Rest(time.Second)
	m.StopReceiver("B")
	m.StopReceiver("C")
	m.Rest(time.Second)
	waiting := m.Write("A", 3)
	m.Rest(time.Second)
	for told, want := range map[*Told]string{written: "OK", refused: "error 1290", waiting: "nothing yet"} {
		if told.String() != want {
			t.Errorf("%q, want %q", told, want)
		}
	}
	m.Kill("A")
	m.Rest(time.Second)
	late := m.Write("A", 4)
	m.Rest(time.Second)
	if waiting.String() != "connection lost" || late.String() != "no connection" {
		t.Errorf("after a crash: %q and %q", waiting, late)
	}
}

func TestAStopThatHangsHoldsUpAllThatHasToDoWithTheChannel(t *testing.T) {
	m := three()
	defer m.Close()
	m.SetSource("B", true)
	m.Write("A", 1) // B's applier waits for acknowledgements that never come
	m.Rest(time.Second)
	stop := m.StopApplier("B")
	m.Rest(time.Second)
	freeze := []reparent.Command{{Verb: reparent.Freeze, Server: "B", Cluster: "shop", Term: 1, Deadline: time.Second}}
	results, done := m.Do("x", freeze)
	if !done || results[0].Outcome != reparent.Unknown || m.Observe("B").Replication.Receiver != topology.ThreadOn {
		t.Errorf("frozen %v: %v", done, results)
	}
	m.Kill("A")
	m.Start("A")
	m.Rest(10 * time.Second)
	if r := m.Observe("B").Replication; r.Receiver != topology.ThreadConnecting || r.ReceiverErrno != 0 {
		t.Errorf("a receiver that lost its source is %s with error %d, although it cannot connect", r.Receiver, r.ReceiverErrno)
	}
	m.SetSource("B", false)
	m.Rest(5 * time.Second)
	if stop.String() != "OK" || m.Observe("B").Replication.Receiver != topology.ThreadOff {
		t.Errorf("when it goes on: %q, and the receiver is %s", stop, m.Observe("B").Replication.Receiver)
	}
}

func TestWhatBefallsAServerOfAModelAsAWhole(t *testing.T) {
	m := three()
	defer m.Close()
	m.Write("A", 1)
	m.Rest(time.Second)
	m.Part("C", "A", true)
	m.Rest(10 * time.Second)
	if r := m.Observe("C").Replication; !m.Parted("A", "C") || r.ReceiverErrno != int(errNoConnection) {
		t.Errorf("a replica that is cut off from its source has error %d", r.ReceiverErrno)
	}
	m.Wipe("C")
	m.Rename("C", gtid.UUID{15: 9}, 9)
	m.Part("C", "A", false)
	m.Rest(10 * time.Second)
	if o := m.Observe("C"); !o.OK() || o.UUID != (gtid.UUID{15: 9}) || !o.Executed.IsEmpty() || o.Replication != nil {
		t.Errorf("a server that lost its data is %+v", o)
	}
	m.Clone("C", "A")
	m.Rest(10 * time.Second)
	if o := m.Observe("C"); o.UUID != (gtid.UUID{15: 9}) || o.Executed.IsEmpty() || !o.Executed.Equal(m.Observe("A").Executed) {
		t.Errorf("a clone has executed %s as %s", o.Executed, o.UUID)
	}
	m.SetSuperReadOnly("C", false)
	m.Rest(time.Second)
	open := m.WriteAsRoot("C", 2)
	m.SetSuperReadOnly("C", true)
	m.Rest(time.Second)
	closed := m.WriteAsRoot("C", 3)
	m.Rest(time.Second)
	if open.String() != "OK" || closed.String() != "error 1290" {
		t.Errorf("root hears %q, and behind super_read_only %q", open, closed)
	}
}
