// Names by which what only AMQP has is carried as a property through other protocols, and back.

/** As long as the other two. */
export const ANNOTATION_PREFIX = 'JMS_AMQP_MA_'
export const DELIVERY_ANNOTATION_PREFIX = 'JMS_AMQP_DA_'
export const FOOTER_PREFIX = 'JMS_AMQP_FT_'
export const REPLY_GROUP = 'JMS_AMQP_ReplyToGroupID'
/** A reply-to that is no address of ours. */
export const FOREIGN_REPLY = 'reply-to'

/** Of an annotation or the footer: no application property. */
export function isOfAnotherSection(name: string): boolean {
  return name.startsWith(ANNOTATION_PREFIX) || name.startsWith(DELIVERY_ANNOTATION_PREFIX) || name.startsWith(FOOTER_PREFIX)
}
