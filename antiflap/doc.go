// Package antiflap answers one question: may the primary of a cluster be changed automatically now, and if not, until
// when and why? The answer "yes" is a [Clearance], which only [Settings.Clear] can make, so a change that forgot to ask
// does not compile.
//
// Three things can say no. A window, which opens when an emergency change reached establishment: a second change right
// after the first one is more often a loop than a rescue. A back-off, which follows an attempt that failed and has
// nothing to do with windows. And a brake over the whole fleet, because many clusters that fail at once usually share one
// cause that changing primaries does not cure.
//
// Nothing here makes a change safe or unsafe; that is decided by revocation and durability. Windows only keep Primacy
// from doing the same thing again and again, so they may rest on wall clocks, which safety never does. All values are
// plain data: they are saved as JSON, survive restarts, and pass from one elector to the next.
//
// Clocks. Times are stored as wall times because they have to outlive the process. If a clock jumps forward, or the next
// elector's clock is ahead, a window simply ends early. If it jumps back, or the window was written by an elector whose
// clock was ahead, a window never has more time left than its own length: readings are capped, and [Cluster.Rebased] and
// [Fleet.Rebased], called once per round, move such a window so that it ends one length after it was noticed.
package antiflap
