#include "textflag.h"

// func pairs(text *byte, blocks int, args *pairArgs, out *uint32, room int) (found, done int)
//
// AX candidates so far, BX blocks done, SI text, DI out, DX the offset of the
// block; R8 to R11 point at the four bytes' positions for offset 0.
// Y0 to Y3 hold the four bytes, each 32 times.
TEXT ·pairs(SB), NOSPLIT, $0-56
	MOVQ text+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVQ args+16(FP), R12
	MOVQ out+24(FP), DI
	MOVQ room+32(FP), R13
	SUBQ $64, R13             // a block may begin while AX <= R13
	MOVQ 0(R12), R8
	MOVQ 8(R12), R9
	MOVQ 16(R12), R10
	MOVQ 24(R12), R11
	ADDQ SI, R8
	ADDQ SI, R9
	ADDQ SI, R10
	ADDQ SI, R11
	VPBROADCASTB 32(R12), Y0
	VPBROADCASTB 33(R12), Y1
	VPBROADCASTB 34(R12), Y2
	VPBROADCASTB 35(R12), Y3
	XORQ AX, AX
	XORQ BX, BX
	XORQ DX, DX

block:
	CMPQ BX, CX
	JGE  done
	VPCMPEQB (R8)(DX*1), Y0, Y4
	VPCMPEQB (R9)(DX*1), Y1, Y5
	VPCMPEQB (R10)(DX*1), Y2, Y6
	VPCMPEQB (R11)(DX*1), Y3, Y7
	VPCMPEQB 32(R8)(DX*1), Y0, Y8
	VPCMPEQB 32(R9)(DX*1), Y1, Y9
	VPCMPEQB 32(R10)(DX*1), Y2, Y10
	VPCMPEQB 32(R11)(DX*1), Y3, Y11
	VPAND Y4, Y5, Y4
	VPAND Y6, Y7, Y6
	VPAND Y8, Y9, Y8
	VPAND Y10, Y11, Y10
	VPOR  Y4, Y6, Y4          // offsets 0 to 31
	VPOR  Y8, Y10, Y8         // offsets 32 to 63
	VPOR  Y4, Y8, Y5
	VPTEST Y5, Y5
	JNZ  some

next:
	INCQ BX
	ADDQ $64, DX
	JMP  block

some:
	CMPQ AX, R13
	JG   done                 // no room; this block is left for the next call
	VPMOVMSKB Y4, R14
	VPMOVMSKB Y8, R15
	SHLQ $32, R15
	ORQ  R15, R14

bit:
	BSFQ R14, R15
	ADDQ DX, R15
	MOVL R15, (DI)(AX*4)
	INCQ AX
	LEAQ -1(R14), R15         // clear the lowest bit
	ANDQ R15, R14
	JNZ  bit
	JMP  next

done:
	VZEROUPPER
	MOVQ AX, found+40(FP)
	MOVQ BX, done+48(FP)
	RET
