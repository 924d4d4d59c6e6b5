// Package gtid does exact arithmetic on MySQL GTID sets, tags included.
//
// A [Set] is an immutable value: every operation returns a new one, operands
// are never changed, and any number of goroutines may read one at the same
// time. The zero Set is the empty set. Two equal sets always have the same
// representation, so text, JSON and reflect.DeepEqual agree with [Set.Equal].
//
// Texts are read as the server reads them (tried on 9.7.4): uuids in either
// case, with dashes, in braces or as 32 digits, tags folded to lower case, white
// space between any two parts, numbers in any order, overlapping or adjacent,
// and nothing at all between two commas. Printed texts are what the server
// prints for gtid_executed, without the line break that it puts behind each
// comma.
//
// Three spellings that a server takes are refused on purpose, because each of
// them would give a mistyped or cut-off text a silent meaning, and a set that is
// read wrongly can elect the wrong primary:
//
//   - an interval that ends before it starts, which the server ignores;
//   - a uuid or a tag without any number, which the server ignores too, and
//     which is how a text looks that was cut off;
//   - a number that starts with 0: older servers read 010 as 8 and 0x10 as 16,
//     newer ones read 10 and an error.
//
// A leading '+' is an instruction to SET GLOBAL gtid_purged and no part of a
// set; it is refused here as it is by GTID_SUBSET.
package gtid
