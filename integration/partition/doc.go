// Package partition cuts electors, the store and servers from each other, in namespaces with a network of their own: real
// `primacy serve` processes, a real etcd of three members, real servers. It consists of tests only.
package partition
