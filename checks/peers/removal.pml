/*
 * The removal of a private page, a second time: for SPIN.
 *
 * A twin of the packed model without reductions R1 to R5, step for step: kernel 6.16, module
 * 1.5.05, one page, sequential consistency, no TDG.MEM.PAGE.ATTR. Written by hand from
 * docs/protocol.md and docs/model.md; nothing here is generated. Each statement is one step, so
 * that the number of distinct states is the packed model's, exactly: `just peers` and
 * checks/tests/peers.rs compare them.
 *
 *   -DVCPUS=N      vCPUs, 1 to 3
 *   -DZERO_STEP    EPT violations can arm the 0-step mitigation
 *   -DNO_FLAG      the vCPU does not test the flag (the claim is then violated)
 *
 * spin -o1 -o2 -o3 -a: without its merging and forgetting, which would leave states out.
 * Locks are variables here, and positions in the packed model. The twin keeps no lock that is only
 * ever shared (TDR, OP_STATE, TDVPR): taking one is a step without effect.
 */

#ifndef VCPUS
#define VCPUS 1
#endif

#define OUTSIDE 0
#define IN_GUEST 1
#define EXITING 2

#define UNVISITED 0
#define QUEUED 1
#define AWAITED 2
#define VISITED 3

#define NO_IPI 0
#define SENT 1
#define PENDING_IPI 2

#define FREE 0
#define PENDING 1
#define MAPPED 2
#define BLOCKED 3
#define PENDING_BLOCKED 4

#define OLDER 0
#define PREVIOUS 1
#define CURRENT 2

#define ABSENT 0
#define FROZEN 1
#define PRESENT 2

/* Statuses, told apart as the status words are. */
#define SUCCESS 0
#define BUSY_RCX 1
#define BUSY_TREE 2
#define BUSY_EPOCH 3
#define BUSY_HOST_PRIORITY 4
#define ALREADY_ACCEPTED 5
#define EPT_VIOLATION 6

/* KVM: the flag, mmu_lock, the mirror SPTE, each vCPU's mode, and where the kick stands with it. */
bit wait_for_sept_zap = 0;
bit mmu_writer = 0;
byte mmu_readers = 0;
byte mirror = PRESENT;
byte mode[VCPUS] = OUTSIDE;
byte kick[VCPUS] = UNVISITED;
byte ipi[VCPUS] = NO_IPI;
/* What property I4 remembers. */
bit flag_seen_down[VCPUS] = 0;

/* The module: the page's S-EPT entry, its BEPOCH, the locks, each vCPU's epoch and 0-step list. */
byte entry = MAPPED;
bit tdel = 0;
bit tdhp = 0;
byte bepoch = OLDER;
bit tree_exclusive = 0;
byte tree_shared = 0;
bit epoch_exclusive = 0;
byte epoch_shared = 0;
bit previous_epoch[VCPUS] = 0;
bit counted[VCPUS] = 0;
bit armed[VCPUS] = 0;
bit faulted[VCPUS] = 0;
bit copied_tdhp[VCPUS] = 0;

byte vcpu_status[VCPUS] = SUCCESS;
byte zapper_status = SUCCESS;

#define me _pid
#define in_previous(i) (counted[i] && previous_epoch[i])
#if VCPUS == 1
#define SOME(p) (p(0))
#elif VCPUS == 2
#define SOME(p) (p(0) || p(1))
#else
#define SOME(p) (p(0) || p(1) || p(2))
#endif
#define faults (entry == FREE || entry == BLOCKED || entry == PENDING_BLOCKED)
#define is_unvisited(i) (kick[i] == UNVISITED)
#define is_queued(i) (kick[i] == QUEUED)
#define is_awaited(i) (kick[i] == AWAITED)

/* A step without effect: a lock that nobody contends, a jump, a test that always comes out so. */
#define STEP assert(true)

/* With interrupts open a pending IPI is taken before the next instruction. */
#define ACKNOWLEDGE d_step { \
	ipi[me] == PENDING_IPI -> ipi[me] = NO_IPI; \
	if :: kick[me] == AWAITED -> kick[me] = VISITED :: else -> skip fi }
#define OPEN(here, effect, next) here: if \
	:: ACKNOWLEDGE; goto here \
	:: d_step { ipi[me] != PENDING_IPI -> effect }; goto next \
	fi

active [VCPUS] proctype vcpu()
{
	/* vcpu_run() */
loop:	if
	:: ACKNOWLEDGE; goto loop
	:: ipi[me] != PENDING_IPI -> goto enter
	:: ipi[me] != PENDING_IPI -> goto userspace
	:: ipi[me] != PENDING_IPI -> goto halted
	:: ipi[me] != PENDING_IPI -> goto scheduled_out
	:: ipi[me] != PENDING_IPI -> goto push
	fi;
	OPEN(enter, skip, service);
	OPEN(userspace, skip, loop);
	OPEN(halted, skip, loop);
	OPEN(scheduled_out, skip, loop);
	OPEN(push, vcpu_status[me] = SUCCESS, tdh_vp_wr);

tdh_vp_wr: /* TDVPR, TDR, OP_STATE, all shared; release; return */
	STEP; STEP; STEP; STEP; STEP; STEP; STEP;

	/* vcpu_enter_guest() */
	OPEN(service, skip, irq_disable);
	OPEN(irq_disable, skip, store_mode);
store_mode:
	if :: d_step { mode[me] = IN_GUEST } fi;
	STEP; /* srcu_read_unlock(): smp_mb() */
	if /* kvm_vcpu_exit_request() */
	:: mode[me] == EXITING -> goto cancel
	:: mode[me] != EXITING -> goto flag
	:: mode[me] != EXITING -> goto cancel
	fi;

flag:	/* tdx_vcpu_run() */
#ifdef NO_FLAG
	goto call;
#else
	if
	:: wait_for_sept_zap -> goto out
	:: d_step { !wait_for_sept_zap -> flag_seen_down[me] = 1 }
	fi;
#endif
call:	if :: d_step { vcpu_status[me] = SUCCESS } fi;

	/* TDH.VP.ENTER */
	STEP; STEP; STEP; /* TDVPR, TDR, OP_STATE shared */
	if
	:: d_step { !epoch_exclusive -> epoch_shared++ }
	:: d_step { epoch_exclusive -> vcpu_status[me] = BUSY_EPOCH }; goto unwind_op_state
	fi;
	d_step { previous_epoch[me] = 0; counted[me] = 1 };
	d_step { epoch_shared-- };
	if
	:: armed[me] -> goto filter
	:: !armed[me] -> goto not_armed
	fi;
filter:	if
	:: d_step { !tree_exclusive && tree_shared == 0 -> tree_exclusive = 1 }
	:: d_step { tree_exclusive || tree_shared > 0 -> vcpu_status[me] = BUSY_TREE }; goto unwind_epoch
	fi;
	if
	:: entry == MAPPED -> STEP /* OP_STATE */; d_step { tree_exclusive = 0 }; goto guest
	:: d_step { entry != MAPPED -> vcpu_status[me] = SUCCESS; faulted[me] = 1 }
	fi;
	d_step { tree_exclusive = 0 };
unwind_epoch:
	if :: d_step { counted[me] = 0 } fi;
unwind_op_state:
	STEP; /* OP_STATE */
	STEP; STEP; STEP; /* TDR, TDVPR, return */
	goto returned;
not_armed:
	STEP; /* OP_STATE */

guest:	if
	:: d_step { vcpu_status[me] = SUCCESS }; goto accept
	:: d_step { faults -> faulted[me] = 1; armed[me] = 0 }
#ifdef ZERO_STEP
	:: d_step { faults -> faulted[me] = 1; armed[me] = 1 }
#endif
	:: d_step { faulted[me] = 0 } /* an interrupt, the kick's or another; TDVMCALL */
	:: d_step { armed[me] -> faulted[me] = 0; armed[me] = 0 } /* the same, with progress */
	fi;
leave:	if :: d_step { counted[me] = 0 } fi;
	STEP; STEP; STEP; /* TDR, TDVPR, return */

returned: /* vp_enter_ret? BUSY writes its own exit reason */
	if
	:: d_step { vcpu_status[me] != SUCCESS -> vcpu_status[me] = SUCCESS; faulted[me] = 0 }
	:: vcpu_status[me] == SUCCESS
	fi;
out:	if :: d_step { mode[me] = OUTSIDE } fi;
	STEP; /* handle_exit_irqoff() */
	d_step { flag_seen_down[me] = 0 }; /* local_irq_enable() */
	OPEN(srcu_read_lock, skip, handle_exit);
handle_exit:
	if
	:: ACKNOWLEDGE; goto handle_exit
	:: d_step { ipi[me] != PENDING_IPI && faulted[me] -> faulted[me] = 0 }; goto fault
	:: ipi[me] != PENDING_IPI && !faulted[me] -> goto again
	fi;
	OPEN(again, skip, loop);

cancel:	if :: d_step { mode[me] = OUTSIDE } fi;
	d_step { flag_seen_down[me] = 0 };
	OPEN(cancel_lock, skip, cancel_again);
	OPEN(cancel_again, skip, loop);

	/* kvm_tdp_mmu_map(), tdx_mem_page_aug() */
fault:	if
	:: ACKNOWLEDGE; goto fault
	:: d_step { ipi[me] != PENDING_IPI && !mmu_writer && mirror == ABSENT -> mmu_readers++; mirror = FROZEN }; goto aug
	:: d_step { ipi[me] != PENDING_IPI && !mmu_writer && mirror != ABSENT -> mmu_readers++ }; goto unlock
	fi;
	OPEN(aug, vcpu_status[me] = SUCCESS, tdh_mem_page_aug);
tdh_mem_page_aug:
	STEP; STEP; /* TDR, OP_STATE shared */
	if
	:: d_step { !tree_exclusive -> tree_shared++ }
	:: d_step { tree_exclusive -> vcpu_status[me] = BUSY_TREE }; goto aug_unwind
	fi;
	if
	:: d_step { !tdel -> tdel = 1 }
	:: d_step { tdel -> vcpu_status[me] = BUSY_RCX };
		d_step { tdhp = 1 };
		d_step { tree_shared-- };
		goto aug_unwind
	fi;
	d_step { tdhp = 0 };
	STEP; /* the page's PAMT entry exclusive */
	d_step { assert(entry == FREE); entry = PENDING; tdhp = 0; tdel = 0 };
	STEP; /* PAMT */
	d_step { tree_shared-- };
	STEP; STEP; STEP; /* OP_STATE, TDR, return */
	goto aug_status;
aug_unwind:
	STEP; STEP; STEP; /* OP_STATE, TDR, return */
aug_status:
	if
	:: ACKNOWLEDGE; goto aug_status
	:: d_step { ipi[me] != PENDING_IPI ->
		if
		:: vcpu_status[me] == SUCCESS -> mirror = PRESENT
		:: else -> mirror = ABSENT
		fi;
		vcpu_status[me] = SUCCESS
	   }; goto unlock
	fi;
	OPEN(unlock, mmu_readers--, loop);

	/* TDG.MEM.PAGE.ACCEPT, in the guest */
accept:	if
	:: d_step { !tdel -> tdel = 1 }
	:: d_step { tdel -> vcpu_status[me] = BUSY_RCX }; goto accept_return
	fi;
	if
	:: !tdhp -> goto accept_check
	:: d_step { tdhp -> vcpu_status[me] = BUSY_HOST_PRIORITY }
	fi;
	d_step { tdel = 0 }; /* give way */
	goto accept_return;
accept_check:
	if
	:: d_step { entry == PENDING -> copied_tdhp[me] = tdhp }
	:: d_step { entry == MAPPED -> vcpu_status[me] = ALREADY_ACCEPTED }; goto accept_release
	:: d_step { faults -> vcpu_status[me] = EPT_VIOLATION }; goto accept_release
	fi;
	d_step { entry = MAPPED; tdhp = copied_tdhp[me] };
	d_step { tdel = 0 };
	STEP; /* return */
	goto guest;
accept_release:
	if :: d_step { tdel = 0 } fi;
accept_return:
	if
	:: d_step { vcpu_status[me] == EPT_VIOLATION -> vcpu_status[me] = SUCCESS; faulted[me] = 1 }; goto leave
	:: d_step { vcpu_status[me] != EPT_VIOLATION -> vcpu_status[me] = SUCCESS }; goto guest
	fi
}

/* kvm_make_all_cpus_request(kvm, KVM_REQ_OUTSIDE_GUEST_MODE): the walk takes vCPUs in any order. */
#define VISIT(i) d_step { kick[i] == UNVISITED -> \
	if \
	:: mode[i] == OUTSIDE -> kick[i] = VISITED \
	:: mode[i] == IN_GUEST -> mode[i] = EXITING; kick[i] = QUEUED \
	:: mode[i] == EXITING -> kick[i] = QUEUED \
	fi }
#define SEND(i) d_step { kick[i] == QUEUED && ipi[i] == NO_IPI -> kick[i] = AWAITED; ipi[i] = SENT }
#if VCPUS == 1
#define FORGET kick[0] = UNVISITED
#elif VCPUS == 2
#define FORGET kick[0] = UNVISITED; kick[1] = UNVISITED
#else
#define FORGET kick[0] = UNVISITED; kick[1] = UNVISITED; kick[2] = UNVISITED
#endif

inline make_all_cpus_request()
{
	do
	:: VISIT(0)
#if VCPUS > 1
	:: VISIT(1)
#endif
#if VCPUS > 2
	:: VISIT(2)
#endif
	:: !SOME(is_unvisited) -> break
	od;
	do
	:: SEND(0)
#if VCPUS > 1
	:: SEND(1)
#endif
#if VCPUS > 2
	:: SEND(2)
#endif
	:: !SOME(is_queued) -> break
	od;
	!SOME(is_awaited);
	d_step { FORGET }
}

inline tdh_mem_range_block()
{
	d_step { zapper_status = SUCCESS };
	STEP; STEP; /* TDR, OP_STATE shared */
	if
	:: d_step { !tree_exclusive && tree_shared == 0 -> tree_exclusive = 1 };
		if
		:: d_step { !tdel -> tdel = 1 };
			d_step { tdhp = 0 };
			d_step {
				if
				:: entry == MAPPED -> entry = BLOCKED
				:: entry == PENDING -> entry = PENDING_BLOCKED
				:: else -> assert(false)
				fi;
				tdhp = 0
			};
			d_step { bepoch = CURRENT };
			d_step { tdel = 0 };
			d_step { tree_exclusive = 0 }
		:: d_step { tdel -> zapper_status = BUSY_RCX };
			d_step { tdhp = 1 };
			d_step { tree_exclusive = 0 }
		fi
	:: d_step { tree_exclusive || tree_shared > 0 -> zapper_status = BUSY_TREE }
	fi;
	STEP; STEP; STEP /* OP_STATE, TDR, return */
}

#if VCPUS == 1
#define ALL_PREVIOUS previous_epoch[0] = 1
#elif VCPUS == 2
#define ALL_PREVIOUS previous_epoch[0] = 1; previous_epoch[1] = 1
#else
#define ALL_PREVIOUS previous_epoch[0] = 1; previous_epoch[1] = 1; previous_epoch[2] = 1
#endif

inline tdh_mem_track()
{
	d_step { zapper_status = SUCCESS };
	STEP; STEP; /* TDR, OP_STATE shared */
	if
	:: d_step { !epoch_exclusive && epoch_shared == 0 -> epoch_exclusive = 1 };
		d_step {
			assert(!SOME(in_previous));
			ALL_PREVIOUS; /* TD_EPOCH++: what was current is previous now */
			if
			:: bepoch == CURRENT -> bepoch = PREVIOUS
			:: else -> bepoch = OLDER
			fi
		};
		d_step { epoch_exclusive = 0 }
	:: d_step { epoch_exclusive || epoch_shared > 0 -> zapper_status = BUSY_EPOCH }
	fi;
	STEP; STEP; STEP /* OP_STATE, TDR, return */
}

inline tdh_mem_page_remove()
{
	d_step { zapper_status = SUCCESS };
	STEP; STEP; /* TDR, OP_STATE shared */
	if
	:: d_step { !tree_exclusive -> tree_shared++ };
		if
		:: d_step { !tdel -> tdel = 1 };
			d_step { tdhp = 0 };
			d_step { assert(entry != FREE) };
			STEP; /* the page's PAMT entry exclusive */
			d_step {
				assert(entry == BLOCKED || entry == PENDING_BLOCKED);
				assert(bepoch == OLDER || (bepoch == PREVIOUS && !SOME(in_previous)))
			};
			d_step { entry = FREE; tdhp = 0; tdel = 0 };
			STEP; /* PAMT */
			d_step { tree_shared-- }
		:: d_step { tdel -> zapper_status = BUSY_RCX };
			d_step { tdhp = 1 };
			d_step { tree_shared-- }
		fi
	:: d_step { tree_exclusive -> zapper_status = BUSY_TREE }
	fi;
	STEP; STEP; STEP /* OP_STATE, TDR, return */
}

#define BUSY (zapper_status == BUSY_RCX || zapper_status == BUSY_TREE || zapper_status == BUSY_EPOCH)

/* The call, and once more with the flag up and every vCPU kicked. */
#define WINDOW(seamcall) \
	seamcall(); \
	if \
	:: d_step { BUSY -> zapper_status = SUCCESS }; \
		d_step { wait_for_sept_zap = 1 }; \
		make_all_cpus_request(); \
		seamcall(); \
		d_step { assert(!BUSY); wait_for_sept_zap = 0 } /* the claim */ \
	:: !BUSY \
	fi

active proctype zapper()
{
	do
	:: d_step { mirror == PRESENT && mmu_readers == 0 -> mmu_writer = 1 };
		d_step { mirror = ABSENT };
		WINDOW(tdh_mem_range_block);
		STEP; /* a premap error? no */
		STEP; /* KVM_BUG_ON(err, kvm) */
		STEP; /* the TD is runnable */
		WINDOW(tdh_mem_track);
		STEP; /* KVM_BUG_ON(err, kvm) */
		make_all_cpus_request();
		WINDOW(tdh_mem_page_remove);
		STEP; /* KVM_BUG_ON(err, kvm) */
		d_step { mmu_writer = 0 }
	od
}

/* The way of an IPI to its CPU. */
active proctype interconnect()
{
	do
	:: d_step { ipi[0] == SENT -> ipi[0] = PENDING_IPI }
#if VCPUS > 1
	:: d_step { ipi[1] == SENT -> ipi[1] = PENDING_IPI }
#endif
#if VCPUS > 2
	:: d_step { ipi[2] == SENT -> ipi[2] = PENDING_IPI }
#endif
	od
}
