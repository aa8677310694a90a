export { setUp } from '../../testkit/index.ts';
