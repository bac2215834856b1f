// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The second level of the verdict cache: results of the switch process, looked up in the kernel.
 *
 * Theory of operation. `port_ingress` sits at the ingress of every port that is a kernel device
 * (the switch's end of a veth, a tap, a NIC). It looks the frame up and, when the switch process
 * has decided about such a frame before and nothing has changed since, sends it to its egress port
 * there and then. Any other frame goes to the switch process: tagged with its ingress port it is
 * put into one tap, the upcall. What the process sends comes back through the same tap, tagged
 * with its egress port, to `upcall_ingress`. There is no rule here, only results.
 *
 * What makes a result void: `state.generation` has gone on. One write by the process ends all.
 *
 * What is never answered from here: the rows of `watched`, frames that the process wants to see
 * whatever it decided before (DHCP, neighbour discovery, ...).
 *
 * Order. A flow that has an entry may still have frames in the upcall's queue, and a frame sent on
 * from here would overtake them. So an entry carries a mark: the count of upcalls of its ingress
 * port at the time of the flow's last upcall. The process publishes how many of each port's it has
 * dealt with, in order; until that reaches the mark, further frames of the flow go the same slow
 * way and move the mark. The first frame that finds a new result sets the mark, since only then no
 * more upcalls of the flow can come before it. A flow that is faster than the process would never catch up: after
 * `allowance` such frames it loses frames, for as long as the process needs for those it has.
 *
 * Fairness. A port has at most `credit` frames in the upcall's queue, which has room for the
 * credit of all ports: one port's flood costs no other port an upcall.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PORTS 1024
#define FLOWS 65536
#define FRESH (1U << 31) /* in an allowance: no frame has come since the result was written */

struct key {
	__u32 ifindex;
	__u8 addresses[2 * ETH_ALEN];
	__be16 tag_protocol; /* 0 for untagged */
	__u16 tag;
	__be16 type;
	__u16 zero;
};

/* One cache line. The process writes the first half before `generation`, which comes last. */
struct flow {
	__u32 generation;
	__u32 egress; /* ifindex; 0 ends the frame */
	__u32 limit; /* longest frame in bytes, unless it is to be segmented */
	__u16 to_peer; /* egress is a veth: straight to its other end */
	__u16 ingress; /* port number */
	__u32 mark;
	__u32 allowance;
	__u64 last_used; /* CLOCK_MONOTONIC, nanoseconds */
	__u64 frames;
	__u64 bytes;
	__u16 egress_port; /* for the process alone, as is all below */
	__u16 reason;
	__u32 learns;
	__u64 tick; /* jiffies of last_used */
};

struct port {
	__u32 upcalled;
	__u32 done; /* of those, dealt with by the process */
	__u32 ifindex;
	__u32 to_peer;
	__u64 refused; /* no credit left */
	__u64 held; /* lost to keep the order */
};

struct state {
	__u32 generation;
	__u32 upcall; /* ifindex */
	__u32 credit;
	__u32 zero;
};

enum { WATCH_NOTHING, WATCH_ALL, WATCH_PORTS, WATCH_TYPES };

struct watch {
	__u32 kind;
	__u16 low; /* UDP or TCP ports, either end */
	__u16 high;
	__u64 types; /* bit n: ICMPv6 type 128 + n */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FLOWS);
	__type(key, struct key);
	__type(value, __u32);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOWS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct flow);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct port);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct state);
} state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, __u32);
} numbers SEC(".maps"); /* ifindex to port number */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 512); /* IPv4 protocols, then IPv6 next headers */
	__type(key, __u32);
	__type(value, struct watch);
} watched SEC(".maps");

static __always_inline int upcall(struct __sk_buff *skb, struct state *now, __u32 number,
				  struct port *port)
{
	/* The tag of so short a frame can't be taken off again (skb_vlan_untag). */
	if (skb->len < ETH_HLEN + 2 || (__s32)(port->upcalled - port->done) >= (__s32)now->credit) {
		__sync_fetch_and_add(&port->refused, 1);
		return TC_ACT_SHOT;
	}
	/* Number 0 is the host's port, and VLAN 0 would be a mere priority tag. */
	if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), number + 1))
		return TC_ACT_SHOT;
	__sync_fetch_and_add(&port->upcalled, 1);
	return bpf_redirect(now->upcall, 0);
}

static __always_inline int send(__u32 ifindex, __u32 to_peer)
{
	return to_peer ? bpf_redirect_peer(ifindex, 0) : bpf_redirect(ifindex, 0);
}

/*
 * Whether the process wants to see such frames every time. The tag, if any, is not in the data. A
 * header that does not lie in the first piece of the frame is the process's to look at.
 */
static __always_inline int is_watched(struct __sk_buff *skb, __u8 *packet, void *end)
{
	__u32 row, offset;
	__u8 kind;
	__be16 ends[2];
	struct watch *watch;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if ((void *)(packet + 10) > end)
			return 1;
		row = packet[9];
		offset = ETH_HLEN + (packet[0] & 15) * 4;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if ((void *)(packet + 7) > end)
			return 1;
		row = 256 + packet[6];
		offset = ETH_HLEN + 40;
	} else {
		return 0;
	}
	watch = bpf_map_lookup_elem(&watched, &row);
	if (!watch || watch->kind == WATCH_NOTHING)
		return 0;
	if (watch->kind == WATCH_ALL || bpf_skb_load_bytes(skb, offset, ends, sizeof(ends)))
		return 1;
	if (watch->kind == WATCH_PORTS) {
		__u16 source = bpf_ntohs(ends[0]), destination = bpf_ntohs(ends[1]);

		return (source >= watch->low && source <= watch->high) ||
		       (destination >= watch->low && destination <= watch->high);
	}
	kind = bpf_ntohs(ends[0]) >> 8;
	return kind >= 128 && kind < 192 && (watch->types >> (kind - 128) & 1);
}

SEC("classifier") /* every libbpf knows this name, the old ones not "tc" */
int port_ingress(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct key key = {};
	__u32 zero = 0, *slot, *number;
	struct state *now;
	struct flow *flow;
	struct port *port;
	__u32 length;
	__u64 tick;
	int verdict;

	now = bpf_map_lookup_elem(&state, &zero);
	if (!now || data + ETH_HLEN > end)
		return TC_ACT_SHOT;
	key.ifindex = skb->ifindex;
	__builtin_memcpy(key.addresses, data, sizeof(key.addresses));
	key.type = skb->protocol;
	length = skb->len;
	if (skb->vlan_present) {
		key.tag_protocol = skb->vlan_proto;
		key.tag = skb->vlan_tci;
		length += 4;
	}
	slot = bpf_map_lookup_elem(&flows, &key);
	flow = slot ? bpf_map_lookup_elem(&slots, slot) : 0;
	if (!flow || flow->generation != now->generation)
		goto miss;
	if ((length > flow->limit && !skb->gso_size) || is_watched(skb, data + ETH_HLEN, end))
		goto miss;
	if (flow->allowance) { /* not yet in order */
		__u32 ingress = flow->ingress;

		port = bpf_map_lookup_elem(&ports, &ingress);
		if (!port)
			return TC_ACT_SHOT;
		if (flow->allowance & FRESH) {
			flow->allowance &= ~FRESH;
			flow->mark = port->upcalled;
		}
		if ((__s32)(flow->mark - port->done) > 0) {
			if (flow->allowance == 1) {
				__sync_fetch_and_add(&port->held, 1);
				return TC_ACT_SHOT;
			}
			verdict = upcall(skb, now, ingress, port);
			/* What had no credit is not waited for: it would never be done. */
			if (verdict != TC_ACT_SHOT) {
				flow->allowance--;
				flow->mark = port->upcalled;
			}
			return verdict;
		}
		flow->allowance = 0;
	}
	__sync_fetch_and_add(&flow->frames, 1);
	__sync_fetch_and_add(&flow->bytes, length);
	tick = bpf_jiffies64();
	if (flow->tick != tick) { /* reading the clock for every frame would cost a tenth of them */
		flow->tick = tick;
		flow->last_used = bpf_ktime_get_ns();
	}
	if (!flow->egress)
		return TC_ACT_SHOT;
	return send(flow->egress, flow->to_peer);

miss:
	number = bpf_map_lookup_elem(&numbers, &key.ifindex);
	if (!number)
		return TC_ACT_SHOT;
	zero = *number;
	port = bpf_map_lookup_elem(&ports, &zero);
	if (!port)
		return TC_ACT_SHOT;
	return upcall(skb, now, zero, port);
}

SEC("classifier") /* every libbpf knows this name, the old ones not "tc" */
int upcall_ingress(struct __sk_buff *skb)
{
	__u32 number = (skb->vlan_tci & 4095) - 1;
	struct port *port = bpf_map_lookup_elem(&ports, &number);

	if (!skb->vlan_present || !port || !port->ifindex || bpf_skb_vlan_pop(skb))
		return TC_ACT_SHOT;
	return send(port->ifindex, port->to_peer);
}

char _license[] SEC("license") = "Dual MIT/GPL";
