// Names of capabilities (part 2.8 and Qpid's extensions) that more than one file knows.

/** Who asks for it is alone of its container id, or refused. */
export const SOLE_CONNECTION = 'sole-connection-for-container'
export const DELAYED_DELIVERY = 'DELAYED_DELIVERY'
export const ANONYMOUS_RELAY = 'ANONYMOUS-RELAY'
export const SHARED_SUBSCRIPTIONS = 'SHARED-SUBS'

/** Of sources and targets: what they are, and who shares them. Others that are asked for are not said to be there. */
export const OF_TERMINI: readonly string[] = ['queue', 'topic', 'temporary-queue', 'temporary-topic', 'shared', 'global']
/** Of sources also that their filters may be expressions about properties. */
export const OF_SOURCES: readonly string[] = [...OF_TERMINI, 'AMQP_FILTEX_PROP_V1_0']
