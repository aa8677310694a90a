export { contextOf, fileFinding, processFinding, processTarget } from '../../testkit/index.ts';
