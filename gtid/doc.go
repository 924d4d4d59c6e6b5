// Package gtid does exact arithmetic on MySQL GTID sets, tags included.
//
// A [Set] is an immutable value: every operation returns a new one, operands
// are never changed, and any number of goroutines may read one at the same
// time. The zero Set is the empty set. Two equal sets always have the same
// representation, so text, JSON and reflect.DeepEqual agree with [Set.Equal].
//
// Texts are read as the server reads them: uuids in either case, tags folded
// to lower case, white space between any two parts, numbers in any order,
// overlapping or adjacent, and nothing at all between two commas. Printed
// texts are what the server prints for gtid_executed, without the line break
// that it puts behind each comma.
//
// Four spellings that a server would take are refused on purpose, because each
// of them would give a mistyped or cut-off text a silent meaning, and a set
// that is read wrongly can elect the wrong primary:
//
//   - an interval that ends before it starts (the server ignores it);
//   - a uuid or a tag without any number (the server ignores it; a text that
//     was cut off looks like this);
//   - a number with a leading zero, a sign or a 0x prefix (the server reads 010
//     as 8);
//   - a leading '+', which is an instruction to SET GLOBAL gtid_purged and not
//     part of a set.
package gtid
