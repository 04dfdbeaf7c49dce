// `npm run drill`: failovers under load, with a verdict.
import { foreground } from './foreground.mjs'

foreground('drill')
