package porttest

import (
	"net"
	"strconv"
	"testing"
)

func TestAddressesAreFreeAndGivenOnce(t *testing.T) {
	given := map[string]bool{}
	for range 50 {
		address, err := Free()
		if err != nil {
			t.Fatal(err)
		}
		if given[address] {
			t.Errorf("%s is given twice", address)
		}
		given[address] = true
		_, text, err := net.SplitHostPort(address)
		if port, _ := strconv.Atoi(text); err != nil || port < first || port > last {
			t.Errorf("%s: %v", address, err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}
