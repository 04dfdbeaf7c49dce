// `npm start`: the broker in the foreground.
import { foreground } from './foreground.mjs'

foreground('start')
